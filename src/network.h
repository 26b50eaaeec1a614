/* SPDX-License-Identifier: BSD-3-Clause */
/* Makes the listening sockets that have a port: TCP and AF_VSOCK. */
#ifndef NETWORK_H
#define NETWORK_H

#include <stdint.h>

struct listen_sockets;

/*
 * Listens on TCP `port` (0 for a free one) of `address`, or of every interface
 * where it is NULL. `family` is AF_INET or AF_INET6 for addresses of that kind
 * only, AF_UNSPEC for both. Returns 0, or -1 after logging. Main thread.
 */
int network_listen_on_tcp(struct listen_sockets *sockets, const char *address, uint16_t port,
                          int family);

/*
 * Listens on AF_VSOCK `port` (0 for a free one) of every context ID. Returns
 * 0, or -1 after logging. Main thread.
 */
int network_listen_on_vsock(struct listen_sockets *sockets, uint32_t port);

#endif
