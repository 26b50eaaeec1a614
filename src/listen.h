/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sockets that clients connect to. Makes the one in the file system, and
 * removes it; network.h makes those with a port.
 */
#ifndef LISTEN_H
#define LISTEN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

enum { LISTEN_MAX = 64 };

struct listen_sockets {
    int fds[LISTEN_MAX];
    char *names[LISTEN_MAX]; /* what a superserver calls them, or NULL */
    unsigned count;
    bool is_activated;       /* a superserver made them: the members below say nothing of them */
    char *unix_path;         /* absolute, or NULL for TCP */
    struct stat unix_status; /* of the socket that we made there */
    char *private_folder;    /* that unix_path is in, for -U -, or NULL */
    int private_fd;          /* of that folder; the lock on it lasts as long */
    bool is_vsock;
    uint32_t port;       /* TCP or AF_VSOCK, the one that was bound */
    const char *address; /* TCP, as given by the user; NULL for every interface */
};

/* Where clients find one of them. */
struct listen_place {
    int family;            /* AF_INET for TCP of either family, AF_UNIX or AF_VSOCK */
    char unix_path[109];   /* AF_UNIX: absolute, or "" */
    const char *host;      /* TCP: a name or an address; valid as long as the place and sockets */
    char address_text[46]; /* what host may point to */
    uint32_t port;         /* TCP and AF_VSOCK */
};

/* Finds where socket `i` is. Returns 0, or -1 if it has no name that a URI could hold. */
int listen_find_place(const struct listen_sockets *sockets, unsigned i, struct listen_place *place);

/* A stream socket of `family` to listen on, or -1 with errno. */
int listen_make_socket(int family);

/*
 * Listens on the Unix domain socket `path`, "-" for one in a new private
 * folder. A socket that nobody listens on any more is replaced. Returns 0, or
 * -1 after logging. Main thread.
 */
int listen_on_unix(struct listen_sockets *sockets, const char *path);

/*
 * Makes what there is in the file system the property of that user, who is to
 * remove it. Main thread.
 */
void listen_give(const struct listen_sockets *sockets, uid_t uid, gid_t gid);

/* Stops listening and removes the socket and the private folder. Main thread. */
void listen_close(struct listen_sockets *sockets);

/* Removes the same, in a handler of signals. */
void listen_clear_away(const struct listen_sockets *sockets);

#endif
