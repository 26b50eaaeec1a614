/* SPDX-License-Identifier: BSD-3-Clause */
/* --run: a shell command that the server lives for. */
#ifndef RUN_H
#define RUN_H

struct listen_sockets;
struct options;

/*
 * Before the server gives up its rights, and before threads exist: keeps them
 * for the command. Returns 0, or -1 after logging.
 */
int run_keep(const struct options *options, const struct listen_sockets *sockets);

/*
 * Keeps standard input and output, which are about to be taken from the server, for the command.
 * Returns 0, or -1 after logging. Main thread.
 */
int run_keep_stdio(void);

/*
 * Starts the command with /bin/sh, with the variables of nbdlab(1), --run, set
 * for `sockets`. Returns a descriptor that is readable when it has ended, which
 * run_wait() closes, or -1 after logging. Main thread.
 */
int run_start(const struct options *options, const struct listen_sockets *sockets);

/*
 * Waits for the command to end, and passes on to it each signal that asked the
 * server to stop. Returns its exit status, 128 plus the number of the signal
 * that ended it; 0 if there is no command. Main thread.
 */
int run_wait(void);

/*
 * In a handler of a fatal signal: ends the command and its children, by SIGKILL where SIGTERM
 * does not do it within a second, and waits for it.
 */
void run_clear_away(void);

#endif
