/* SPDX-License-Identifier: BSD-3-Clause */
/* Accepts clients, keeps their connections, and ends them all when the server stops. */
#ifndef SERVER_H
#define SERVER_H

#include <stdbool.h>

struct listen_sockets;
struct policy;

struct server_config {
    struct listen_sockets *sockets; /* without any for -s */
    const struct policy *policy;
    int single_in_fd; /* -s: the one client's descriptors, which the server takes; else -1 */
    int single_out_fd;
    int command_fd; /* --run: the server stops when it is readable; else -1 */
};

/*
 * Serves until the server is asked to stop (quit.h), its --run command ends,
 * or its -s client is gone; then stops listening, ends every connection and
 * returns when the last of them is gone. Returns 0, or -1 after logging if it
 * could not serve. Main thread.
 */
int server_run(const struct server_config *config);

#endif
