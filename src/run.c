// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns the captive command. Entered by the main thread; calls descriptor,
 * exitfd, signals, uri and log.
 */
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "descriptor.h"
#include "exitfd.h"
#include "listen.h"
#include "log.h"
#include "options.h"
#include "signals.h"
#include "uri.h"

extern char **environ;

static pid_t command_pid = -1;
static int command_fd = -1; /* of exitfd_open() */

/*
 * With -u or -g the command keeps the rights that the server gives up, as in
 * nbdkit: it may need them to attach the disk. A process in between starts it,
 * for the server could not signal it. command_pid is then the keeper's.
 */
static pid_t keeper_pid = -1;
static int keeper_fd = -1; /* our end of a pipe */

enum { TO_ALL = 0x80 }; /* with a signal's number: to what the command waits for, too */

/* What the command has as descriptors 0 and 1; -1: those of whoever starts it. */
static int stdio_fds[2] = { -1, -1 };

int run_keep_stdio(void)
{
    for (int i = 0; i < 2; i++) {
        stdio_fds[i] = fcntl(i, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        if (stdio_fds[i] < 0) {
            log_error("--run: cannot keep standard input and output for the command: %m");
            return -1;
        }
    }
    return 0;
}

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
    struct listen_place place;
    CLEANUP_FREE char *uri =
        listen_find_place(sockets, 0, &place) == 0 ? uri_make(&place, options) : NULL;
    char *script = NULL;
    char port[16] = "";
    size_t length;
    FILE *out = uri ? open_memstream(&script, &length) : NULL;

    if (!out)
        return NULL;
    if (place.family != AF_UNIX)
        snprintf(port, sizeof port, "%u", place.port);
    write_variable(out, "uri", uri);
    write_variable(out, "nbd", uri);
    write_variable(out, "port", port);
    write_variable(out, "unixsocket", place.unix_path);
    write_variable(out, "exportname", options->export_name);
    write_variable(out, "tls", name_tls(options->policy.tls));
    write_variable(out, "tls_certificates",
                   options->tls_certificates ? options->tls_certificates : "");
    write_variable(out, "tls_psk", options->tls_psk ? options->tls_psk : "");
    fprintf(out, "%s\n", options->run_command);
    return fclose(out) == 0 ? script : NULL;
}

/* A reader at the other end sees the end of the command, not that of the server. */
static void close_stdio(void)
{
    for (int i = 0; i < 2; i++) {
        if (stdio_fds[i] >= 0)
            close(stdio_fds[i]);
        stdio_fds[i] = -1;
    }
}

/* Starts the shell with the signals that it would have without us. Returns its pid or -1. */
static pid_t spawn_shell(char *script)
{
    char *argv[] = { (char[]){ "/bin/sh" }, (char[]){ "-c" }, script, NULL };
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t changed;
    sigset_t none;
    pid_t pid;

    signals_get_changed(&changed);
    sigemptyset(&none);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigdefault(&attributes, &changed);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    posix_spawn_file_actions_init(&actions);
    for (int i = 0; i < 2; i++)
        if (stdio_fds[i] >= 0)
            posix_spawn_file_actions_adddup2(&actions, stdio_fds[i], i);
    int error = posix_spawn(&pid, argv[0], &actions, &attributes, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    close_stdio();
    if (!error)
        return pid;
    log_error("--run: cannot start /bin/sh: %s", strerrordesc_np(error));
    return -1;
}

static int get_exit_status(int wait_status)
{
    return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

/*
 * Reads which children the process has, "PID PID ...", before it is ended: they would become
 * others' then. Where the kernel does not say, there are none.
 */
static void list_children(pid_t parent, char *list, size_t size)
{
    char path[64];
    ssize_t length = 0;

    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)parent, (int)parent);
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        length = read(fd, list, size - 1);
    list[length > 0 ? length : 0] = '\0';
}

/* To a shell, and to what it waits for. */
static void signal_all(pid_t shell, int number)
{
    char list[1024];
    char *rest = list;

    list_children(shell, list, sizeof list);
    kill(shell, number);
    for (long pid; (pid = strtol(rest, &rest, 10)) > 0;)
        kill((pid_t)pid, number);
}

/* The keeper: passes signals on to the command until that ends. Returns its exit status. */
static int keep(pid_t pid, int pipe_fd)
{
    struct pollfd fds[] = {
        { .fd = pipe_fd, .events = POLLIN },
        { .fd = exitfd_open(pid), .events = POLLIN },
    };
    unsigned char number;
    int status;

    while (fds[1].fd >= 0 && poll(fds, 2, -1) >= 0 && !fds[1].revents) {
        if (read(pipe_fd, &number, 1) != 1)
            fds[0].fd = -1; /* The server is gone; the command may go on. */
        else if (number & TO_ALL)
            signal_all(pid, number & ~TO_ALL);
        else
            kill(pid, number);
    }
    return waitpid(pid, &status, 0) < 0 ? EXIT_FAILURE : get_exit_status(status);
}

/* In the child, which keeps nothing of the server but what the caller has opened. */
static _Noreturn void run_keeper(int pipe_fd, char *script)
{
    unsigned char start;

    signals_ignore();
    descriptor_close_private(pipe_fd);
    log_forget();
    if (read(pipe_fd, &start, 1) != 1)
        _exit(EXIT_SUCCESS);
    pid_t pid = spawn_shell(script);
    _exit(pid < 0 ? EXIT_FAILURE : keep(pid, pipe_fd));
}

int run_keep(const struct options *options, const struct listen_sockets *sockets)
{
    CLEANUP_FREE char *script = make_script(options, sockets);
    int ends[2] = { -1, -1 };

    fflush(NULL); /* what waits is not to be written twice */
    keeper_pid = script && pipe2(ends, O_CLOEXEC) == 0 ? fork() : -1;
    if (keeper_pid == 0)
        run_keeper(ends[0], script);
    if (keeper_pid < 0)
        log_error("--run: cannot keep the rights for the command: %m");
    if (ends[0] >= 0)
        close(ends[0]);
    keeper_fd = ends[1];
    return keeper_pid < 0 ? -1 : 0;
}

/* Tells the keeper: to start with 0, to pass a signal on with its number, and TO_ALL. */
static void tell_keeper(int number)
{
    unsigned char byte = (unsigned char)number;

    if (write(keeper_fd, &byte, 1) < 0)
        log_debug("--run: the command's keeper is gone: %m");
}

static pid_t start(const struct options *options, const struct listen_sockets *sockets)
{
    if (keeper_pid > 0) {
        tell_keeper(0);
        return keeper_pid;
    }
    CLEANUP_FREE char *script = make_script(options, sockets);
    if (script)
        return spawn_shell(script);
    log_error("--run: %m");
    return -1;
}

int run_start(const struct options *options, const struct listen_sockets *sockets)
{
    command_pid = start(options, sockets);
    if (command_pid < 0)
        return -1;
    command_fd = exitfd_open(command_pid);
    if (command_fd < 0) {
        log_error("--run: cannot wait for the command: %m");
        kill(command_pid, SIGKILL);
        waitpid(command_pid, NULL, 0);
        command_pid = -1;
    }
    return command_fd;
}

static void pass_on(int number)
{
    if (keeper_pid > 0)
        tell_keeper(number);
    else
        kill(command_pid, number);
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
            pass_on(number);
    } while (ppoll(&end, 1, NULL, &unblocked) < 0 && errno == EINTR);
    signals_restore(&unblocked);
    close(command_fd);
    if (waitpid(command_pid, &status, 0) < 0) {
        log_error("--run: %m");
        return EXIT_FAILURE;
    }
    command_pid = command_fd = -1;
    return get_exit_status(status);
}

/* Returns whether the command has ended, in a second. */
static bool wait_a_second(void)
{
    const struct timespec pause = { .tv_nsec = 10 * 1000 * 1000 };

    for (int i = 0; i < 100; i++) {
        if (waitpid(command_pid, NULL, WNOHANG) != 0)
            return true;
        nanosleep(&pause, NULL);
    }
    return false;
}

static void end_command(int number)
{
    if (keeper_pid > 0)
        tell_keeper(number | TO_ALL);
    else
        signal_all(command_pid, number);
}

void run_clear_away(void)
{
    if (command_pid < 0)
        return;
    end_command(SIGTERM);
    if (wait_a_second())
        return;
    end_command(SIGKILL);
    wait_a_second();
}
