// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns the thread-local connection and error. Entered by any thread that
 * serves a callback, and by the main thread; calls quit, conn and leaves.
 */
#include "api.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "conn.h"
#include "intern.h"
#include "log.h"
#define NBDKIT_API_VERSION 2
#include "nbdkit-plugin.h"
#include "quit.h"
#include "transport.h"

static _Thread_local struct conn *current_conn;
static _Thread_local int current_error;
static struct intern global_strings = INTERN_INITIALISER;
static bool is_stdio_used;

void api_set_conn(struct conn *conn)
{
    current_conn = conn;
}

void api_set_error(int error)
{
    current_error = error;
}

int api_get_error(void)
{
    return current_error;
}

void api_set_stdio_used(bool is_used)
{
    is_stdio_used = is_used;
}

const char *api_intern(char *string)
{
    struct intern *strings = current_conn ? &current_conn->intern : &global_strings;
    const char *kept = string ? intern_keep(strings, string) : NULL;

    if (!kept)
        log_error("cannot keep a string: %m");
    return kept;
}

void api_free_strings(void)
{
    intern_free(&global_strings);
}

/* Messages and errors. */

void nbdkit_verror(const char *format, va_list args)
{
    log_verror(format, args);
}

void nbdkit_error(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_verror(format, args);
    va_end(args);
}

void nbdkit_vdebug(const char *format, va_list args)
{
    log_vdebug(format, args);
}

void nbdkit_debug(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_vdebug(format, args);
    va_end(args);
}

void nbdkit_set_error(int err)
{
    current_error = err;
}

/* Stopping, throwing out, sleeping. */

void nbdkit_shutdown(void)
{
    log_debug("the plugin asks the server to shut down");
    quit_request();
}

void nbdkit_disconnect(int force)
{
    if (!current_conn) {
        log_debug("nbdkit_disconnect: no client is connected in this phase, nothing to do");
        return;
    }
    log_debug("the plugin asks to disconnect the client%s", force ? " at once" : "");
    conn_advance(current_conn, force ? CONN_DEAD : CONN_DRAINING);
}

int nbdkit_stop_fd(void)
{
    return quit_get_fd();
}

static struct timespec make_deadline(unsigned sec, unsigned nsec)
{
    struct timespec deadline;

    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += (time_t)sec + nsec / 1000000000;
    deadline.tv_nsec += nsec % 1000000000;
    if (deadline.tv_nsec >= 1000000000) {
        deadline.tv_sec++;
        deadline.tv_nsec -= 1000000000;
    }
    return deadline;
}

/* Sleeps where there is no connection. Returns false if the server is stopping. */
static bool sleep_alone(const struct timespec *duration)
{
    struct pollfd stop = { .fd = quit_get_fd(), .events = POLLIN };
    int ready;

    do {
        ready = ppoll(&stop, 1, duration, NULL);
    } while (ready < 0 && errno == EINTR && !quit_is_stopping());
    return ready == 0;
}

int nbdkit_nanosleep(unsigned sec, unsigned nsec)
{
    if (sec >= INT_MAX - nsec / 1000000000) {
        log_error("nbdkit_nanosleep: %u seconds are more than can be slept", sec);
        errno = EINVAL;
        return -1;
    }
    struct timespec deadline = make_deadline(sec, nsec);
    struct timespec duration = { (time_t)sec + nsec / 1000000000, nsec % 1000000000 };
    if (current_conn ? conn_sleep(current_conn, &deadline) : sleep_alone(&duration))
        return 0;
    log_error("nbdkit_nanosleep: woken early: the server is stopping or the client is gone");
    current_error = ESHUTDOWN;
    errno = ESHUTDOWN;
    return -1;
}

/* The client. */

/* The client's socket, or -1 after logging that `caller` has none. */
static int get_client_socket(const char *caller)
{
    if (!current_conn) {
        log_error("%s: no client is connected in this phase", caller);
        errno = ENOTCONN;
        return -1;
    }
    int fd = transport_get_socket(current_conn->transport);
    if (fd < 0) {
        log_error("%s: the client is not on a socket", caller);
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
    log_error("nbdkit_peer_name: %m");
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
        log_error("%s: the client is not on a Unix domain socket", caller);
        errno = ENOTSUP;
        return -1;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, credentials, &length) == 0)
        return 0;
    log_error("%s: %m", caller);
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
        log_error("nbdkit_peer_security_context: %m");
        return NULL;
    }
    return strndup(label, length);
}

/* This server has no TLS, so no client has a distinguished name. */
static char *refuse_tls(const char *caller)
{
    log_error("%s: the client does not use TLS", caller);
    errno = ENOTSUP;
    return NULL;
}

char *nbdkit_peer_tls_dn(void)
{
    return refuse_tls("nbdkit_peer_tls_dn");
}

char *nbdkit_peer_tls_issuer_dn(void)
{
    return refuse_tls("nbdkit_peer_tls_issuer_dn");
}

const char *nbdkit_export_name(void)
{
    if (current_conn && current_conn->export.name)
        return current_conn->export.name;
    log_error("nbdkit_export_name: no export is chosen in this phase");
    errno = EINVAL;
    return NULL;
}

int nbdkit_is_tls(void)
{
    if (current_conn)
        return 0;
    log_error("nbdkit_is_tls: no client is connected in this phase");
    errno = EINVAL;
    return -1;
}

/* Strings and standard input. */

const char *nbdkit_strdup_intern(const char *str)
{
    return api_intern(strdup(str));
}

const char *nbdkit_strndup_intern(const char *str, size_t n)
{
    return api_intern(strndup(str, n));
}

const char *nbdkit_vprintf_intern(const char *format, va_list args)
{
    char *string;

    return api_intern(vasprintf(&string, format, args) < 0 ? NULL : string);
}

const char *nbdkit_printf_intern(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    const char *string = nbdkit_vprintf_intern(format, args);
    va_end(args);
    return string;
}

int nbdkit_stdio_safe(void)
{
    return !is_stdio_used;
}
