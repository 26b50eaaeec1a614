// SPDX-License-Identifier: BSD-3-Clause
/*
 * Chooses the kind of socket. Owns nothing. Entered by the main thread; calls
 * listen, network, selinux and uri.
 */
#include "endpoint.h"

#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>

#include "listen.h"
#include "network.h"
#include "options.h"
#include "selinux.h"
#include "uri.h"

/* Tells whoever started the server where it listens, as far as that was asked for. */
static int announce(const struct options *options, const struct listen_sockets *sockets)
{
    if (options->prints_uri)
        return uri_print(sockets, options);
    if (!sockets->is_activated && !sockets->unix_path && options->port == 0 &&
        !options->run_command) {
        printf("%u\n", sockets->port);
        fflush(stdout);
    }
    return 0;
}

static int make_sockets(const struct options *options, struct listen_sockets *sockets)
{
    int family = options->is_ipv4_only ? AF_INET : options->is_ipv6_only ? AF_INET6 : AF_UNSPEC;

    if (options->unix_path)
        return listen_on_unix(sockets, options->unix_path);
    if (options->is_vsock)
        return network_listen_on_vsock(sockets, options->port);
    return network_listen_on_tcp(sockets, options->address, (uint16_t)options->port, family);
}

static int make_labelled_sockets(const struct options *options, struct listen_sockets *sockets)
{
    const char *label = options->selinux_label;

    if (label && selinux_label_sockets(label) < 0)
        return -1;
    if (make_sockets(options, sockets) < 0)
        return -1;
    return label ? selinux_label_sockets(NULL) : 0;
}

int endpoint_open(const struct options *options, struct listen_sockets *sockets)
{
    if (options->is_single)
        return 0;
    if (!sockets->is_activated && make_labelled_sockets(options, sockets) < 0)
        return -1;
    return announce(options, sockets);
}
