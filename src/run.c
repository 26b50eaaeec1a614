// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns the captive command. Entered by the main thread; calls signals, uri and log.
 */
#include "run.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "listen.h"
#include "log.h"
#include "options.h"
#include "signals.h"
#include "uri.h"

extern char **environ;

static pid_t command_pid = -1;
static int command_fd = -1; /* a pidfd */

static void write_variable(FILE *out, const char *name, const char *value)
{
    fprintf(out, "%s=", name);
    uri_write_quoted(out, value);
    fputc('\n', out);
}

/* As nbdkit has it: nothing for off, 1 for offered, 2 for required. */
static const char *name_tls(enum tls_mode mode)
{
    return mode == TLS_REQUIRE ? "2" : mode == TLS_ON ? "1" : "";
}

static char *make_script(const struct options *options, const struct listen_sockets *sockets)
{
    CLEANUP_FREE char *uri = uri_make(sockets, options);
    char *script = NULL;
    char port[16] = "";
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
    write_variable(out, "exportname", options->export_name);
    write_variable(out, "tls", name_tls(options->policy.tls));
    write_variable(out, "tls_certificates",
                   options->tls_certificates ? options->tls_certificates : "");
    write_variable(out, "tls_psk", options->tls_psk ? options->tls_psk : "");
    fprintf(out, "%s\n", options->run_command);
    return fclose(out) == 0 ? script : NULL;
}

int run_start(const struct options *options, const struct listen_sockets *sockets)
{
    CLEANUP_FREE char *script = make_script(options, sockets);
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
