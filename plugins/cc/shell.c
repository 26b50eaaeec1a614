/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Starts /bin/sh. Owns nothing. Entered by the thread that configures the
 * server; calls exitfd, nbdkit_error and nbdkit_stop_fd.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "exitfd.h"
#include "shell.h"

enum {
    WORDS_MAX = 16,
    TERM_MS = 1000, /* between SIGTERM and SIGKILL */
};

/* A group of its own, to end all of it; and signals as a compiler expects them. */
static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t signals;
    int error;

    sigemptyset(&signals);
    if ((error = posix_spawnattr_setsigmask(attributes, &signals)) != 0)
        return error;
    sigaddset(&signals, SIGPIPE);
    if ((error = posix_spawnattr_setsigdefault(attributes, &signals)) != 0)
        return error;
    if ((error = posix_spawnattr_setpgroup(attributes, 0)) != 0)
        return error;
    return posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                    POSIX_SPAWN_SETPGROUP);
}

static int set_descriptors(posix_spawn_file_actions_t *actions)
{
    int error = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);

    /* Standard output may be a client's, or somebody's who asked for the URI. */
    if (error == 0)
        error = posix_spawn_file_actions_adddup2(actions, STDERR_FILENO, STDOUT_FILENO);
    return error ? error : posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
}

/* Returns 0 or an errno value. */
static int start(pid_t *pid, char *const words[])
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int error;

    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    error = set_descriptors(&actions);
    if (error == 0)
        error = set_attributes(&attributes);
    if (error == 0)
        error = posix_spawn(pid, words[0], &actions, &attributes, words, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

/* Signals the process, which may have left its group, and the group. */
static void signal_all(pid_t pid, int number)
{
    kill(-pid, number);
    if (getpgid(pid) != pid)
        kill(pid, number);
}

/* Returns when the process has ended, or had to, since the server stops. */
static void watch(pid_t pid)
{
    struct pollfd events[] = {
        { .fd = exitfd_open(pid), .events = POLLIN },
        { .fd = nbdkit_stop_fd(), .events = POLLIN },
    };

    if (events[0].fd < 0)
        return;
    while (poll(events, 2, -1) < 0 && errno == EINTR)
        continue;
    if (!events[0].revents) {
        signal_all(pid, SIGTERM);
        signal_all(pid, SIGCONT);
        if (poll(events, 1, TERM_MS) <= 0)
            signal_all(pid, SIGKILL);
    }
    close(events[0].fd);
}

int shell_run(const char *script, const char *const arguments[])
{
    const char *words[WORDS_MAX] = { "/bin/sh", "-c", script, "sh" };
    pid_t pid;
    int status;

    for (size_t i = 0; arguments[i] && i + 5 < WORDS_MAX; i++)
        words[i + 4] = arguments[i];
    /* posix_spawn changes none of the words. */
    char *copies[WORDS_MAX];
    memcpy(copies, words, sizeof copies);
    int error = start(&pid, copies);
    if (error) {
        nbdkit_error("cannot run /bin/sh: %s", strerror(error));
        return -1;
    }
    watch(pid);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) {
            nbdkit_error("waitpid: %s", strerror(errno));
            return -1;
        }
    return status;
}
