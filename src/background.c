// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns descriptors 0 to 2 and the pipe to the waiting parent. Entered by the
 * main thread; calls log and quit.
 */
#include "background.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "log.h"
#include "quit.h"

static int ready_fd = -1; /* to the waiting parent; -1 in the foreground */
static pid_t parent;      /* of --exit-with-parent, or 0 */

/* Those of 0 to 2 that the program was started without. */
static bool was_closed[STDERR_FILENO + 1];

void background_open_stdio(void)
{
    int fd;

    while ((fd = open("/dev/null", O_RDWR)) >= 0 && fd <= STDERR_FILENO)
        was_closed[fd] = true;
    if (fd >= 0)
        close(fd);
}

/* Points `target` at /dev/null. */
static void discard(int target)
{
    CLEANUP_CLOSE int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null_fd < 0 || dup2(null_fd, target) < 0)
        log_warning("descriptor %d stays as it is: /dev/null: %m", target);
}

int background_take_stdio(int *in_fd, int *out_fd)
{
    if (was_closed[STDIN_FILENO] || was_closed[STDOUT_FILENO]) {
        log_error("-s serves a client on standard input and output, but standard %s is closed",
                  was_closed[STDIN_FILENO] ? "input" : "output");
        return -1;
    }
    if (isatty(STDIN_FILENO)) {
        log_error("-s serves a client on standard input, but that is a terminal");
        return -1;
    }
    *in_fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    *out_fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (*in_fd < 0 || *out_fd < 0) {
        log_error("-s: standard input or output: %m");
        return -1;
    }
    discard(STDIN_FILENO);
    discard(STDOUT_FILENO);
    return 0;
}

void background_leave_stdio(void)
{
    fflush(stdin); // cppcheck-suppress fflushOnInputStream ; POSIX has a meaning for it
    fflush(stdout);
    discard(STDIN_FILENO);
    discard(STDOUT_FILENO);
}

/* A parent that ends before the request is in place would go unnoticed. */
int background_watch_parent(void)
{
    if (parent == 0)
        parent = getppid();
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0) {
        log_error("--exit-with-parent: %m");
        return -1;
    }
    if (getppid() != parent)
        quit_request();
    return 0;
}

static void wait_for_child(int pipe_fd, pid_t child)
{
    char byte;
    ssize_t got;

    do {
        got = read(pipe_fd, &byte, 1);
    } while (got < 0 && errno == EINTR);
    if (got == 1)
        _exit(EXIT_SUCCESS);
    /* It said why on stderr. */
    int status;
    waitpid(child, &status, 0);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE);
}

int background_enter(void)
{
    int pipe_fds[2];

    fflush(NULL);
    if (pipe2(pipe_fds, O_CLOEXEC) < 0) {
        log_error("cannot go to the background: %m");
        return -1;
    }
    pid_t child = fork();
    if (child < 0) {
        log_error("cannot go to the background: %m");
        close(pipe_fds[0]);
        close(pipe_fds[1]);
        return -1;
    }
    if (child > 0) {
        close(pipe_fds[1]);
        wait_for_child(pipe_fds[0], child);
    }
    close(pipe_fds[0]);
    ready_fd = pipe_fds[1];
    setsid();
    if (chdir("/") < 0)
        log_warning("the server stays in the folder that it was started in: /: %m");
    return 0;
}

void background_ready(void)
{
    bool has_stderr = log_end_start(ready_fd >= 0);

    if (ready_fd < 0)
        return;
    if (!has_stderr)
        discard(STDERR_FILENO);
    if (write(ready_fd, "", 1) < 0)
        log_error("cannot tell the parent that the server is ready: %m");
    close(ready_fd);
    ready_fd = -1;
}
