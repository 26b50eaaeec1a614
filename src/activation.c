// SPDX-License-Identifier: BSD-3-Clause
/*
 * Takes over sockets. Owns nothing. Entered by the main thread; calls listen,
 * log and parse.
 */
#include "activation.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"
#include "listen.h"
#include "log.h"
#include "options.h"
#include "parse.h"

enum { FIRST_FD = 3 };

/* Takes a variable out of the environment. Returns its value, NULL for none; free(3) it. */
static char *take_variable(const char *name)
{
    const char *value = getenv(name);
    char *copy = value ? strdup(value) : NULL;

    unsetenv(name);
    return copy;
}

static bool is_for_us(const char *pid_text)
{
    uint64_t pid;

    if (!parse_unsigned(pid_text, INT32_MAX, &pid) && pid == (uint64_t)getpid())
        return true;
    log_debug("LISTEN_PID=%s is not this process, which is %ld", pid_text, (long)getpid());
    return false;
}

/* The option that says where to listen as well, or NULL. */
static const char *find_conflict(const struct options *options)
{
    if (options->address)
        return "-i/--ipaddr";
    if (options->has_port)
        return "-p/--port";
    if (options->run_command)
        return "--run";
    if (options->is_single)
        return "-s/--single";
    if (options->unix_path)
        return "-U/--unix";
    return options->is_vsock ? "--vsock" : NULL;
}

static int get_number(int fd, int option)
{
    int value = -1;
    socklen_t length = sizeof value;

    return getsockopt(fd, SOL_SOCKET, option, &value, &length) < 0 ? -1 : value;
}

/* What is wrong with a descriptor as a socket to listen on, NULL if nothing is. */
static const char *find_fault(int fd)
{
    int family = get_number(fd, SO_DOMAIN);

    if (family < 0)
        return errno == EBADF ? "is not open" : "is no socket";
    if (get_number(fd, SO_TYPE) != SOCK_STREAM)
        return "is no stream socket; say ListenStream= in the unit";
    if (get_number(fd, SO_ACCEPTCONN) != 1)
        return "does not listen; say Accept=no in the unit";
    if (family != AF_INET && family != AF_INET6 && family != AF_UNIX && family != AF_VSOCK)
        return "is of a kind that this server does not know; TCP, Unix and AF_VSOCK are known";
    return NULL;
}

/* `name` is what the superserver calls it; the socket list takes it. */
static int take_socket(struct listen_sockets *sockets, int fd, char *name)
{
    char quoted[LOG_QUOTED_MAX];
    const char *fault = find_fault(fd);

    if (fault) {
        log_error("LISTEN_FDS: descriptor %d, %s, %s", fd, log_quote(quoted, name ? name : ""),
                  fault);
        free(name);
        return -1;
    }
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    sockets->names[sockets->count] = name;
    sockets->fds[sockets->count++] = fd;
    log_debug("listening on descriptor %d, %s", fd, log_quote(quoted, name ? name : ""));
    return 0;
}

static int take_sockets(struct listen_sockets *sockets, unsigned count, char *names)
{
    for (unsigned i = 0; i < count; i++) {
        const char *name = names ? strsep(&names, ":") : NULL;
        if (take_socket(sockets, FIRST_FD + (int)i, name && *name ? strdup(name) : NULL) < 0)
            return -1;
    }
    return 0;
}

int activation_take(struct listen_sockets *sockets, struct options *options)
{
    CLEANUP_FREE char *pid = take_variable("LISTEN_PID");
    CLEANUP_FREE char *count_text = take_variable("LISTEN_FDS");
    CLEANUP_FREE char *names = take_variable("LISTEN_FDNAMES");
    uint64_t count;

    if (!pid || !count_text || !is_for_us(pid))
        return 0;
    if (parse_unsigned(count_text, LISTEN_MAX, &count) || count == 0) {
        log_error("LISTEN_FDS=%s is not a number of sockets from 1 to %d", count_text, LISTEN_MAX);
        return -1;
    }
    const char *conflict = find_conflict(options);
    if (conflict) {
        log_error("%s cannot be used with sockets of a superserver (LISTEN_FDS): it says where to "
                  "listen",
                  conflict);
        return -1;
    }
    options->is_foreground = true;
    sockets->is_activated = true;
    return take_sockets(sockets, (unsigned)count, names);
}
