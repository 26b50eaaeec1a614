/* SPDX-License-Identifier: BSD-3-Clause */
/* Where clients connect, as the command line has it. */
#ifndef ENDPOINT_H
#define ENDPOINT_H

struct listen_sockets;
struct options;

/*
 * Makes the sockets to listen on, and prints where they are as far as that was
 * asked for. Returns 0, or -1 after logging. Main thread.
 */
int endpoint_open(const struct options *options, struct listen_sockets *sockets);

#endif
