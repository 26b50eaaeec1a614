/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What each signal does. SIGINT, SIGQUIT, SIGTERM and SIGHUP ask the server to
 * stop; SIGPIPE is ignored. SIGHUP stays ignored where it was (nohup(1)).
 */
#ifndef SIGNALS_H
#define SIGNALS_H

#include <signal.h>

/*
 * Start-up: undoes what a parent may have passed on, an ignored SIGCHLD and
 * blocked signals. The first signal asks the server to stop and interrupts
 * system calls; a third one kills, for start-ups that hang in a plugin. Main
 * thread.
 */
void signals_install(void);

/* Serving: from now on no number of signals kills. Main thread. */
void signals_keep(void);

/* In a child process that is nobody's to stop: ignores the signals above. */
void signals_ignore(void);

/* The number of the last signal that asked the server to stop since the last call, 0 for none. */
int signals_take_caught(void);

/* Blocks the signals above, for a thread that is about to be made; saves the mask in `old`. */
void signals_block(sigset_t *old);
void signals_restore(const sigset_t *old);

/* The signals whose disposition a child process must get back (POSIX_SPAWN_SETSIGDEF). */
void signals_get_changed(sigset_t *changed);

#endif
