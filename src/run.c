// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns the captive command. Entered by the main thread; calls signals and log.
 */
#include "run.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "listen.h"
#include "log.h"
#include "signals.h"

extern char **environ;

static pid_t command_pid = -1;
static int command_fd = -1; /* a pidfd */

/* NAME='VALUE', safe for any value. */
static void write_variable(FILE *out, const char *name, const char *value)
{
    fprintf(out, "%s='", name);
    for (; *value; value++)
        if (*value == '\'')
            fputs("'\\''", out);
        else
            fputc(*value, out);
    fputs("'\n", out);
}

/* Percent-encodes what a part of a URI cannot hold (RFC 3986, section 2). */
static void write_uri_part(FILE *out, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (isalnum(c) || strchr("-._~/", c))
            fputc(c, out);
        else
            fprintf(out, "%%%02X", c);
    }
}

static char *make_uri(const struct listen_sockets *sockets, const char *export_name)
{
    char *uri = NULL;
    size_t length;
    FILE *out = open_memstream(&uri, &length);

    if (!out)
        return NULL;
    const char *host = sockets->address ? sockets->address : "localhost";
    bool is_ipv6 = strchr(host, ':');
    if (sockets->unix_path)
        fputs("nbd+unix:///", out);
    else
        fprintf(out, "nbd://%s%s%s:%u/", is_ipv6 ? "[" : "", host, is_ipv6 ? "]" : "",
                sockets->port);
    write_uri_part(out, export_name);
    if (sockets->unix_path) {
        fputs("?socket=", out);
        write_uri_part(out, sockets->unix_path);
    }
    return fclose(out) == 0 ? uri : NULL;
}

static char *make_script(const char *command, const struct listen_sockets *sockets,
                         const char *export_name)
{
    CLEANUP_FREE char *uri = make_uri(sockets, export_name);
    char *script = NULL;
    char port[8] = "";
    size_t length;
    FILE *out = uri ? open_memstream(&script, &length) : NULL;

    if (!out)
        return NULL;
    if (!sockets->unix_path)
        snprintf(port, sizeof port, "%u", sockets->port);
    write_variable(out, "uri", uri);
    write_variable(out, "nbd", uri);
    write_variable(out, "port", port);
    write_variable(out, "unixsocket", sockets->unix_path ? sockets->unix_path : "");
    write_variable(out, "exportname", export_name);
    write_variable(out, "tls", "");
    write_variable(out, "tls_certificates", "");
    write_variable(out, "tls_psk", "");
    fprintf(out, "%s\n", command);
    return fclose(out) == 0 ? script : NULL;
}

int run_start(const char *command, const struct listen_sockets *sockets, const char *export_name)
{
    CLEANUP_FREE char *script = make_script(command, sockets, export_name);
    char *argv[] = { (char[]){ "/bin/sh" }, (char[]){ "-c" }, script, NULL };
    posix_spawnattr_t attributes;
    sigset_t changed;
    sigset_t none;

    if (!script) {
        log_error("--run: %m");
        return -1;
    }
    signals_get_changed(&changed);
    sigemptyset(&none);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigdefault(&attributes, &changed);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    int error = posix_spawn(&command_pid, argv[0], NULL, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    if (error) {
        log_error("--run: cannot start /bin/sh: %s", strerrordesc_np(error));
        command_pid = -1;
        return -1;
    }
    command_fd = pidfd_open(command_pid, 0);
    if (command_fd < 0) {
        log_error("--run: pidfd_open: %m");
        kill(command_pid, SIGKILL);
        waitpid(command_pid, NULL, 0);
        command_pid = -1;
    }
    return command_fd;
}

int run_wait(void)
{
    struct pollfd end = { .fd = command_fd, .events = POLLIN };
    sigset_t unblocked;
    int status;

    if (command_pid < 0)
        return EXIT_SUCCESS;
    /* Blocked but in ppoll(2), no signal can slip in between the look and the wait. */
    signals_block(&unblocked);
    do {
        int number = signals_take_caught();
        if (number)
            kill(command_pid, number);
    } while (ppoll(&end, 1, NULL, &unblocked) < 0 && errno == EINTR);
    signals_restore(&unblocked);
    close(command_fd);
    if (waitpid(command_pid, &status, 0) < 0) {
        log_error("--run: %m");
        return EXIT_FAILURE;
    }
    command_pid = command_fd = -1;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
