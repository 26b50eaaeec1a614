// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns listening sockets, and the name of one in the file system. Entered by the main thread; calls
 * claim, private, log and the API's paths.
 */
#include "listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "claim.h"
#include "cleanup.h"
#include "log.h"
#define NBDKIT_API_VERSION 2
#include "nbdkit-plugin.h"
#include "private.h"

int listen_make_socket(int family)
{
    return socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static int make_private_path(struct listen_sockets *sockets)
{
    sockets->private_folder = private_make_folder(&sockets->private_fd);
    if (!sockets->private_folder)
        return -1;
    return asprintf(&sockets->unix_path, "%s/" PRIVATE_SOCKET, sockets->private_folder) < 0 ? -1
                                                                                            : 0;
}

/* Is there a socket at `address` whose server is gone? */
static bool is_stale(const struct sockaddr_un *address)
{
    /* A server whose queue is full would have us wait. */
    CLEANUP_CLOSE int fd = listen_make_socket(AF_UNIX);
    struct stat status;

    if (fd < 0 || lstat(address->sun_path, &status) < 0 || !S_ISSOCK(status.st_mode))
        return false;
    return connect(fd, (const struct sockaddr *)address, sizeof *address) < 0 &&
           errno == ECONNREFUSED;
}

static int bind_unix(int fd, const struct sockaddr_un *address)
{
    const struct sockaddr *generic = (const struct sockaddr *)address;

    if (bind(fd, generic, sizeof *address) == 0)
        return 0;
    if (errno != EADDRINUSE)
        return -1;
    if (!is_stale(address)) {
        errno = EADDRINUSE;
        return -1;
    }
    log_debug("replacing %s, a socket that nobody listens on", address->sun_path);
    unlink(address->sun_path);
    return bind(fd, generic, sizeof *address);
}

/* What a user can do about the error, to follow the message. */
static const char *advise_on_path(int error)
{
    switch (error) {
    case EADDRINUSE:
        return " by another server, or by a file that is no socket; choose another path";
    case ENOENT:
        return "; make the folder first";
    default:
        return "";
    }
}

static int find_own_place(const struct listen_sockets *sockets, struct listen_place *place)
{
    place->family = sockets->unix_path ? AF_UNIX : sockets->is_vsock ? AF_VSOCK : AF_INET;
    if (sockets->unix_path)
        snprintf(place->unix_path, sizeof place->unix_path, "%s", sockets->unix_path);
    place->host = sockets->address ? sockets->address : "localhost";
    place->port = sockets->port;
    return 0;
}

/* Any address is as good as another: then it is that of this machine for itself. */
static void name_host(struct listen_place *place, int family, const void *address, bool is_any)
{
    place->family = AF_INET;
    place->host = "localhost";
    if (!is_any && inet_ntop(family, address, place->address_text, sizeof place->address_text))
        place->host = place->address_text;
}

int listen_find_place(const struct listen_sockets *sockets, unsigned i, struct listen_place *place)
{
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
        struct sockaddr_vm vm;
    } address = { .any.sa_family = AF_UNSPEC };
    socklen_t length = sizeof address;

    *place = (struct listen_place){ .family = AF_UNSPEC };
    if (!sockets->is_activated)
        return find_own_place(sockets, place);
    if (getsockname(sockets->fds[i], &address.any, &length) < 0)
        return -1;
    place->family = address.any.sa_family;
    switch (place->family) {
    case AF_INET:
        place->port = ntohs(address.in.sin_port);
        name_host(place, AF_INET, &address.in.sin_addr, address.in.sin_addr.s_addr == INADDR_ANY);
        return 0;
    case AF_INET6:
        place->port = ntohs(address.in6.sin6_port);
        name_host(place, AF_INET6, &address.in6.sin6_addr,
                  IN6_IS_ADDR_UNSPECIFIED(&address.in6.sin6_addr));
        return 0;
    case AF_VSOCK:
        place->port = address.vm.svm_port;
        return 0;
    default:
        memcpy(place->unix_path, address.un.sun_path, sizeof address.un.sun_path);
        return place->unix_path[0] == '/' ? 0 : -1;
    }
}

/* With the claim. Returns 0, or -1 after logging. */
static int make_unix_socket(struct listen_sockets *sockets, const struct sockaddr_un *address)
{
    int fd = listen_make_socket(AF_UNIX);

    if (fd < 0 || bind_unix(fd, address) < 0 || listen(fd, SOMAXCONN) < 0) {
        log_error("-U/--unix: cannot listen on socket %s: %m%s", address->sun_path,
                  advise_on_path(errno));
        if (fd >= 0)
            close(fd);
        return -1;
    }
    lstat(address->sun_path, &sockets->unix_status);
    sockets->fds[sockets->count++] = fd;
    return 0;
}

static int claim_and_listen(struct listen_sockets *sockets, const struct sockaddr_un *address)
{
    struct claim claim;
    int result = claim_begin(&claim, address->sun_path);

    if (result == 0)
        result = make_unix_socket(sockets, address);
    claim_end(&claim);
    return result;
}

int listen_on_unix(struct listen_sockets *sockets, const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    if (strcmp(path, "-") == 0) {
        if (make_private_path(sockets) < 0)
            return -1;
    } else {
        sockets->unix_path = nbdkit_absolute_path(path);
        if (!sockets->unix_path)
            return -1;
    }
    if (strlen(sockets->unix_path) >= sizeof address.sun_path) {
        log_error("-U/--unix: a socket's path has at most %zu bytes, this one has %zu: %s",
                  sizeof address.sun_path - 1, strlen(sockets->unix_path), sockets->unix_path);
        free(sockets->unix_path);
        sockets->unix_path = NULL;
        return -1;
    }
    strcpy(address.sun_path, sockets->unix_path);

    if (claim_and_listen(sockets, &address) == 0)
        return 0;
    /* Whatever is there is not ours to remove. */
    free(sockets->unix_path);
    sockets->unix_path = NULL;
    return -1;
}

/* Somebody may have removed our socket and put another server's there, or a link to a file. */
static bool is_our_socket(const struct listen_sockets *sockets, const struct stat *status)
{
    return S_ISSOCK(status->st_mode) && status->st_nlink == 1 &&
           status->st_dev == sockets->unix_status.st_dev &&
           status->st_ino == sockets->unix_status.st_ino;
}

void listen_give(const struct listen_sockets *sockets, uid_t uid, gid_t gid)
{
    struct stat status;

    if (!sockets->unix_path)
        return;
    /* Nobody can put another file in the place of one that is open. */
    CLEANUP_CLOSE int fd = open(sockets->unix_path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &status) == 0 && is_our_socket(sockets, &status) &&
        fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0)
        log_debug("cannot give %s away: %m", sockets->unix_path);
    if (sockets->private_folder && fchown(sockets->private_fd, uid, gid) < 0)
        log_debug("cannot give %s away: %m", sockets->private_folder);
}

static void remove_socket(const struct listen_sockets *sockets)
{
    struct stat status;

    if (lstat(sockets->unix_path, &status) == 0) {
        if (!is_our_socket(sockets, &status) || unlink(sockets->unix_path) == 0)
            return;
    }
    if (errno != ENOENT)
        log_warning("cannot remove the socket %s: %m", sockets->unix_path);
}

void listen_close(struct listen_sockets *sockets)
{
    struct claim claim;

    if (sockets->unix_path) {
        claim_begin(&claim, sockets->unix_path);
        remove_socket(sockets);
        claim_end(&claim);
    }
    for (unsigned i = 0; i < sockets->count; i++) {
        close(sockets->fds[i]);
        free(sockets->names[i]);
        sockets->names[i] = NULL;
    }
    sockets->count = 0;
    if (sockets->private_folder) {
        rmdir(sockets->private_folder);
        close(sockets->private_fd);
    }
    free(sockets->unix_path);
    free(sockets->private_folder);
    sockets->unix_path = sockets->private_folder = NULL;
}

void listen_clear_away(const struct listen_sockets *sockets)
{
    struct stat status;

    if (sockets->unix_path && lstat(sockets->unix_path, &status) == 0 &&
        is_our_socket(sockets, &status))
        unlink(sockets->unix_path);
    if (sockets->private_folder)
        rmdir(sockets->private_folder);
}
