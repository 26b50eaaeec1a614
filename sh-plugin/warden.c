/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns the warden process. The thread that loads and unloads the plugin enters
 * it, and the warden itself. Calls leftovers and nbdkit_error.
 *
 * Nobody can catch SIGKILL. But a pipe of which the server holds the only
 * writing end tells its reader when the server is gone, however it went.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "leftovers.h"
#include "warden.h"

#define DESCRIPTORS_WHILE_REMOVING 16
#define FAREWELL_MS 1000
#define LEVELS_MAX 32 /* of folders in each other that are closed to their owner */

static int pipe_fd = -1;   /* our end of the pipe; -1 if there is no warden */
static int warden_fd = -1; /* a pidfd, for the server may not be its parent any more */

static bool is_unreadable; /* by nftw: a folder could not be opened */

/* A script may have made folders that not even their owner may enter. */
static int open_up(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
    (void)status;
    (void)ftw;
    if (type == FTW_D || type == FTW_DNR)
        chmod(path, S_IRWXU);
    is_unreadable = is_unreadable || type == FTW_DNR;
    return 0;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
    (void)status;
    (void)type;
    (void)ftw;
    remove(path);
    return 0;
}

void warden_remove_folder(const char *folder)
{
    /* Each round may open up one level more. */
    for (int round = 0; round < LEVELS_MAX; round++) {
        is_unreadable = false;
        nftw(folder, open_up, DESCRIPTORS_WHILE_REMOVING, FTW_PHYS | FTW_MOUNT);
        if (!is_unreadable)
            break;
    }
    nftw(folder, remove_entry, DESCRIPTORS_WHILE_REMOVING, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* The warden keeps nothing of the server but the pipe: no socket, no terminal. */
static void keep_only(int fd)
{
    dup2(fd, STDIN_FILENO);
    closefrom(STDOUT_FILENO);
    open("/dev/null", O_WRONLY);
    open("/dev/null", O_WRONLY);
    setsid();
    if (chdir("/") < 0)
        _exit(EXIT_FAILURE);
    signal(SIGINT, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    prctl(PR_SET_NAME, "nbdlab-warden");
}

/* Waits for the server's word, or its death. */
static _Noreturn void watch(const char *variable)
{
    char byte;
    ssize_t count;

    do
        count = read(STDIN_FILENO, &byte, 1);
    while (count < 0 && errno == EINTR);
    if (count == 0) {
        leftovers_end(variable, false);
        warden_remove_folder(variable + strlen("tmpdir="));
    }
    _exit(EXIT_SUCCESS);
}

void warden_start(const char *variable)
{
    int ends[2] = { -1, -1 };
    pid_t pid = pipe2(ends, O_CLOEXEC) < 0 ? -1 : fork();

    if (pid == 0) {
        keep_only(ends[0]);
        watch(variable);
    }
    if (pid < 0)
        nbdkit_error("nobody would clear away after a SIGKILL: %s", strerror(errno));
    else
        warden_fd = pidfd_open(pid, 0);
    if (ends[0] >= 0)
        close(ends[0]);
    if (pid < 0 && ends[1] >= 0)
        close(ends[1]);
    else
        pipe_fd = ends[1];
}

void warden_dismiss(void)
{
    struct pollfd end = { .fd = warden_fd, .events = POLLIN };

    if (pipe_fd < 0)
        return;
    if (write(pipe_fd, "", 1) == 1)
        poll(&end, 1, FAREWELL_MS);
    waitid(P_PIDFD, (id_t)warden_fd, &(siginfo_t){ 0 }, WEXITED | WNOHANG);
    close(warden_fd);
    close(pipe_fd);
    pipe_fd = warden_fd = -1;
}
