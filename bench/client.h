/* SPDX-License-Identifier: BSD-3-Clause */
/* The way to a server: a socket, and the first phase of the protocol. Any thread. */
#ifndef CLIENT_H
#define CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where the server listens: a Unix socket, or with a path of NULL a port of 127.0.0.1. */
struct client_place {
    const char *socket_path;
    uint16_t port;
};

struct client {
    int fd;
    uint64_t size_bytes;
    uint16_t flags;     /* transmission flags */
    bool is_structured; /* replies come in chunks */
};

/* Returns a socket that blocks, or -1 with errno. The caller closes it. */
int client_connect(const struct client_place *place);

/*
 * Goes from the greeting to NBD_OPT_GO on the socket `fd`, and asks for
 * structured replies first if `wants_structured`. Ends the process if the server
 * refuses or answers wrongly. The socket is the client's then.
 */
struct client client_negotiate(int fd, const char *export_name, bool wants_structured);

/* Sends all, or receives all; ends the process if the server does not take part. */
void client_send(int fd, const void *data, size_t bytes);
void client_receive(int fd, void *data, size_t bytes);

/* Says goodbye and closes the socket. */
void client_close(const struct client *client);

#endif
