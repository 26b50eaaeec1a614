/* SPDX-License-Identifier: BSD-3-Clause */
/* Sockets that whoever started the server listens on already (sd_listen_fds(3)). */
#ifndef ACTIVATION_H
#define ACTIVATION_H

struct listen_sockets;
struct options;

/*
 * Takes the sockets that LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES speak of, if
 * they speak to this process, and removes the variables from the environment.
 * The server then stays in the foreground. Returns 0, also if there are none,
 * or -1 after logging. Main thread, before anything else listens.
 */
int activation_take(struct listen_sockets *sockets, struct options *options);

#endif
