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

enum { LISTEN_MAX = 16 };

struct listen_sockets {
    int fds[LISTEN_MAX];
    unsigned count;
    char *unix_path;         /* absolute, or NULL for TCP */
    struct stat unix_status; /* of the socket that we made there */
    char *private_folder;    /* that unix_path is in, for -U -, or NULL */
    bool is_vsock;
    uint32_t port;       /* TCP or AF_VSOCK, the one that was bound */
    const char *address; /* TCP, as given by the user; NULL for every interface */
};

/*
 * Says no to a superserver that passes its sockets on, before anybody waits
 * for them to be served. Returns 0, or -1 after logging.
 */
int listen_refuse_activation(void);

/* A stream socket of `family` to listen on, or -1 with errno. */
int listen_make_socket(const struct listen_sockets *sockets, int family);

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

#endif
