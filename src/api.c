// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns the thread-local connection and error. Entered by any thread that
 * serves a callback, and by the main thread; calls quit, conn and leaves.
 */
#include "api.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>

#include "conn.h"
#include "crew.h"
#include "log.h"
#define NBDKIT_API_VERSION 2
#include "nbdkit-plugin.h"
#include "quit.h"
#include "transport.h"

static _Thread_local struct conn *current_conn;
static _Thread_local int current_error;
static bool is_stdio_used;
static const char *server_name = "";

void api_set_conn(struct conn *conn)
{
    current_conn = conn;
}

struct conn *api_get_conn(void)
{
    return current_conn;
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

void api_set_name(const char *name)
{
    server_name = name ? name : "";
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
    if (force)
        crew_flush_now();
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
static bool sleep_alone(const struct timespec *deadline)
{
    struct pollfd stop = { .fd = quit_get_fd(), .events = POLLIN };
    struct timespec left;

    while (!quit_is_stopping()) {
        clock_gettime(CLOCK_MONOTONIC, &left);
        left.tv_sec = deadline->tv_sec - left.tv_sec;
        left.tv_nsec = deadline->tv_nsec - left.tv_nsec;
        if (left.tv_nsec < 0) {
            left.tv_sec--;
            left.tv_nsec += 1000000000;
        }
        if (left.tv_sec < 0)
            return true;
        /* Whether it ends in time, by a signal or by the stop, the loop looks again. */
        ppoll(&stop, 1, &left, NULL);
    }
    return false;
}

int nbdkit_nanosleep(unsigned sec, unsigned nsec)
{
    if (sec >= INT_MAX - nsec / 1000000000) {
        nbdkit_error("nbdkit_nanosleep: %u seconds are more than can be slept", sec);
        errno = EINVAL;
        return -1;
    }
    struct timespec deadline = make_deadline(sec, nsec);
    if (current_conn ? conn_sleep(current_conn, &deadline) : sleep_alone(&deadline))
        return 0;
    nbdkit_error("nbdkit_nanosleep: woken early: the server is stopping or the client is gone");
    current_error = ESHUTDOWN;
    errno = ESHUTDOWN;
    return -1;
}

/* The client. */

const char *nbdkit_export_name(void)
{
    if (current_conn && current_conn->export.lent_name)
        return current_conn->export.lent_name;
    nbdkit_error("nbdkit_export_name: no export is chosen in this phase");
    errno = EINVAL;
    return NULL;
}

int nbdkit_is_tls(void)
{
    if (current_conn)
        return transport_get_tls(current_conn->transport) != NULL;
    nbdkit_error("nbdkit_is_tls: no client is connected in this phase");
    errno = EINVAL;
    return -1;
}

int nbdkit_stdio_safe(void)
{
    return !is_stdio_used;
}

const char *nbdkit_name(void)
{
    return server_name;
}
