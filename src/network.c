// SPDX-License-Identifier: BSD-3-Clause
/*
 * Listens on TCP and AF_VSOCK. Owns nothing. Entered by the main thread; calls
 * listen and log.
 */
#include "network.h"

#include <errno.h>
#include <linux/vm_sockets.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "listen.h"
#include "log.h"

/* How often to try a port that the system picks. */
enum { PICKS_MAX = 16 };

static const char *advise_on_port(int error)
{
    switch (error) {
    case EADDRINUSE:
        return " by another server; -p PORT chooses another port";
    case EACCES:
        return "; ports below 1024 are for root, -p PORT chooses another one";
    default:
        return "";
    }
}

static uint16_t get_bound_port(int fd)
{
    struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
    socklen_t length = sizeof address;

    getsockname(fd, (struct sockaddr *)&address, &length);
    return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                               : ((struct sockaddr_in *)&address)->sin_port);
}

static void set_port(struct sockaddr *address, uint16_t port)
{
    if (address->sa_family == AF_INET6)
        ((struct sockaddr_in6 *)address)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)address)->sin_port = htons(port);
}

/* Binds and listens. Returns 0, or -1 with errno; the descriptor is then closed. */
static int add(struct listen_sockets *sockets, int fd, const struct sockaddr *address,
               socklen_t length)
{
    if (bind(fd, address, length) < 0 || listen(fd, SOMAXCONN) < 0) {
        int saved_errno = errno;
        close(fd);
        errno = saved_errno;
        return -1;
    }
    sockets->fds[sockets->count++] = fd;
    return 0;
}

/* The first socket may pick the port; the others must have the same. */
static int listen_on_address(struct listen_sockets *sockets, const struct addrinfo *info)
{
    int on = 1;
    int fd = listen_make_socket(info->ai_family);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (info->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (add(sockets, fd, info->ai_addr, info->ai_addrlen) < 0)
        return -1;
    sockets->port = get_bound_port(fd);
    set_port(info->ai_addr, (uint16_t)sockets->port);
    return 0;
}

/* A machine may lack IPv4 or IPv6; one address that works is enough. */
static bool is_missing_family(int error)
{
    return error == EAFNOSUPPORT || error == EADDRNOTAVAIL;
}

/* A host may have an address twice in /etc/hosts. */
static bool is_repeated(const struct addrinfo *list, const struct addrinfo *info)
{
    for (; list != info; list = list->ai_next)
        if (list->ai_addrlen == info->ai_addrlen &&
            memcmp(list->ai_addr, info->ai_addr, info->ai_addrlen) == 0)
            return true;
    return false;
}

/* Listens on each address that there is, or on none. Returns 0, or an errno. */
static int listen_on_list(struct listen_sockets *sockets, struct addrinfo *list, uint16_t port)
{
    int last_error = EADDRNOTAVAIL;

    sockets->port = port;
    for (struct addrinfo *info = list; info && sockets->count < LISTEN_MAX; info = info->ai_next) {
        set_port(info->ai_addr, (uint16_t)sockets->port);
        if (is_repeated(list, info) || listen_on_address(sockets, info) == 0)
            continue;
        last_error = errno;
        if (is_missing_family(last_error))
            continue;
        while (sockets->count > 0)
            close(sockets->fds[--sockets->count]);
        return last_error;
    }
    return sockets->count > 0 ? 0 : last_error;
}

int network_listen_on_tcp(struct listen_sockets *sockets, const char *address, uint16_t port,
                          int family)
{
    struct addrinfo hints = { .ai_flags = AI_PASSIVE,
                              .ai_family = family,
                              .ai_socktype = SOCK_STREAM };
    struct addrinfo *list;

    sockets->address = address;
    int error = getaddrinfo(address, "0", &hints, &list);
    if (error) {
        log_error("%scannot listen on '%s'%s: %s", address ? "-i/--ipaddr: " : "",
                  address ? address : "any address",
                  family == AF_INET    ? ", IPv4 only (-4)"
                  : family == AF_INET6 ? ", IPv6 only (-6)"
                                       : "",
                  error == EAI_SYSTEM ? strerrordesc_np(errno) : gai_strerror(error));
        return -1;
    }
    /* A port that is free on one address may be in use on another: have the next one picked. */
    for (unsigned i = 0; i < PICKS_MAX; i++) {
        error = listen_on_list(sockets, list, port);
        if (error != EADDRINUSE || port != 0)
            break;
    }
    freeaddrinfo(list);
    if (error == 0)
        return 0;
    log_error("%scannot listen on port %u of %s: %s%s",
              error == EADDRNOTAVAIL ? "-i/--ipaddr: " : "-p/--port: ", port,
              address ? address : "any address", strerrordesc_np(error), advise_on_port(error));
    return -1;
}

int network_listen_on_vsock(struct listen_sockets *sockets, uint32_t port)
{
    struct sockaddr_vm address = {
        .svm_family = AF_VSOCK,
        .svm_port = port ? port : VMADDR_PORT_ANY,
        .svm_cid = VMADDR_CID_ANY,
    };
    socklen_t length = sizeof address;
    int fd = listen_make_socket(AF_VSOCK);

    sockets->is_vsock = true;
    if (fd < 0 || add(sockets, fd, (struct sockaddr *)&address, length) < 0) {
        log_error("--vsock: cannot listen on AF_VSOCK port %u: %m%s", port,
                  errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL
                      ? ": this kernel has none; as root, modprobe vsock_loopback or vhost_vsock"
                      : advise_on_port(errno));
        return -1;
    }
    getsockname(fd, (struct sockaddr *)&address, &length);
    sockets->port = address.svm_port;
    return 0;
}
