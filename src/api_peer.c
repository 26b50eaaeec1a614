// SPDX-License-Identifier: BSD-3-Clause
/*
 * The public nbdkit_* functions about the client at the other end. Entered by
 * any thread that serves a callback; calls api, conn, transport and tls.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "conn.h"
#define NBDKIT_API_VERSION 2
#include "nbdkit-plugin.h"
#include "tls.h"
#include "transport.h"

/* The client's socket, or -1 after logging that `caller` has none. */
static int get_client_socket(const char *caller)
{
    struct conn *conn = api_get_conn();

    if (!conn) {
        nbdkit_error("%s: no client is connected in this phase", caller);
        errno = ENOTCONN;
        return -1;
    }
    int fd = transport_get_socket(conn->transport);
    if (fd < 0) {
        nbdkit_error("%s: the client is not on a socket", caller);
        errno = ENOTSOCK;
    }
    return fd;
}

int nbdkit_peer_name(struct sockaddr *addr, socklen_t *addrlen)
{
    int fd = get_client_socket("nbdkit_peer_name");

    if (fd < 0)
        return -1;
    if (getpeername(fd, addr, addrlen) == 0)
        return 0;
    nbdkit_error("nbdkit_peer_name: %m");
    return -1;
}

static int get_credentials(const char *caller, struct ucred *credentials)
{
    struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
    socklen_t address_length = sizeof address;
    socklen_t length = sizeof *credentials;
    int fd = get_client_socket(caller);

    if (fd < 0)
        return -1;
    getsockname(fd, (struct sockaddr *)&address, &address_length);
    if (address.ss_family != AF_UNIX) {
        nbdkit_error("%s: the client is not on a Unix domain socket", caller);
        errno = ENOTSUP;
        return -1;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, credentials, &length) == 0)
        return 0;
    nbdkit_error("%s: %m", caller);
    return -1;
}

int64_t nbdkit_peer_pid(void)
{
    struct ucred credentials;

    return get_credentials("nbdkit_peer_pid", &credentials) < 0 ? -1 : credentials.pid;
}

int64_t nbdkit_peer_uid(void)
{
    struct ucred credentials;

    return get_credentials("nbdkit_peer_uid", &credentials) < 0 ? -1 : (int64_t)credentials.uid;
}

int64_t nbdkit_peer_gid(void)
{
    struct ucred credentials;

    return get_credentials("nbdkit_peer_gid", &credentials) < 0 ? -1 : (int64_t)credentials.gid;
}

char *nbdkit_peer_security_context(void)
{
    char label[PATH_MAX] = "";
    socklen_t length = sizeof label - 1;
    int fd = get_client_socket("nbdkit_peer_security_context");

    if (fd < 0)
        return NULL;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERSEC, label, &length) < 0) {
        nbdkit_error("nbdkit_peer_security_context: %m");
        return NULL;
    }
    return strndup(label, length);
}

/* One of the names in the client's certificate; "" for a client that showed none. */
static char *get_name(const char *caller, const char *(*get)(const struct tls *))
{
    struct conn *conn = api_get_conn();

    if (!conn) {
        nbdkit_error("%s: no client is connected in this phase", caller);
        errno = ENOTCONN;
        return NULL;
    }
    const struct tls *tls = transport_get_tls(conn->transport);
    char *name = strdup(tls ? get(tls) : "");
    if (!name)
        nbdkit_error("%s: %m", caller);
    return name;
}

char *nbdkit_peer_tls_dn(void)
{
    return get_name("nbdkit_peer_tls_dn", tls_get_peer_dn);
}

char *nbdkit_peer_tls_issuer_dn(void)
{
    return get_name("nbdkit_peer_tls_issuer_dn", tls_get_peer_issuer_dn);
}
