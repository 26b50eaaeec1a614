/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns the warden process. The thread that loads and unloads the plugin enters
 * it, and the warden itself. Calls leftovers, orphans and nbdkit_error.
 *
 * Nobody can catch SIGKILL. But a socket of which the server holds the only
 * other end tells its reader when the server is gone, however it went.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "leftovers.h"
#include "orphans.h"
#include "warden.h"

#define DESCRIPTORS_WHILE_REMOVING 16
#define FAREWELL_MS 1000
#define LEVELS_MAX 32 /* of folders in each other that are closed to their owner */

static int socket_fd = -1; /* our end; -1 if there is no warden */
static pid_t warden_pid;
static pid_t parent_pid; /* the warden's; not the server in the background */

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

/* What the server says to the warden. */
struct word {
    enum { WORD_FAREWELL, WORD_PRIVATE, WORD_USER } kind; /* the last one at most once */
    uid_t uid;
    gid_t gid;
};

static uid_t new_uid; /* for nftw */
static gid_t new_gid;
static int give_error;

/* A file with another name elsewhere was not made here. */
static int give_entry(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
    (void)ftw;
    if ((type == FTW_D || status->st_nlink == 1) && lchown(path, new_uid, new_gid) < 0)
        give_error = errno;
    return 0;
}

/* The warden gives the folder away and follows the server. Returns 0 or an errno. */
static int follow(const char *folder, const char *private, const struct word *word)
{
    new_uid = word->uid;
    new_gid = word->gid;
    if (private != NULL && lchown(private, new_uid, new_gid) < 0)
        return errno;
    if (nftw(folder, give_entry, DESCRIPTORS_WHILE_REMOVING, FTW_PHYS | FTW_MOUNT) < 0)
        return errno;
    if (give_error)
        return give_error;
    if (setgroups(0, NULL) < 0 || setresgid(new_gid, new_gid, new_gid) < 0 ||
        setresuid(new_uid, new_uid, new_uid) < 0)
        return errno;
    return 0;
}

/* The warden keeps nothing of the server but its end: no other socket, no terminal. */
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
static _Noreturn void watch(const char *variable, const char *private)
{
    const char *folder = variable + strlen("tmpdir=");
    bool has_private = false;
    struct word word;
    ssize_t count;

    while ((count = recv(STDIN_FILENO, &word, sizeof(word), 0)) != 0) {
        if (count < 0 && errno == EINTR)
            continue;
        if (count != sizeof(word) || word.kind == WORD_FAREWELL)
            _exit(EXIT_SUCCESS);
        has_private = has_private || word.kind == WORD_PRIVATE;
        if (word.kind == WORD_PRIVATE)
            continue;
        int error = follow(folder, has_private ? private : NULL, &word);
        send(STDIN_FILENO, &error, sizeof(error), MSG_NOSIGNAL);
        if (error != 0)
            _exit(EXIT_FAILURE);
    }
    leftovers_end(variable, false);
    warden_remove_folder(folder);
    if (has_private)
        warden_remove_folder(private);
    _exit(EXIT_SUCCESS);
}

void warden_start(const char *variable, const char *private)
{
    int ends[2] = { -1, -1 };

    orphans_begin_start();
    pid_t pid = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0 ? -1 : fork();
    if (pid == 0) {
        keep_only(ends[0]);
        watch(variable, private);
    }
    orphans_keep(pid);
    if (pid < 0)
        nbdkit_error("nobody would clear away after a SIGKILL: %s", strerror(errno));
    warden_pid = pid;
    parent_pid = getpid();
    if (ends[0] >= 0)
        close(ends[0]);
    if (pid < 0 && ends[1] >= 0)
        close(ends[1]);
    else
        socket_fd = ends[1];
}

void warden_add_private(void)
{
    struct word word = { .kind = WORD_PRIVATE };

    if (socket_fd >= 0)
        send(socket_fd, &word, sizeof(word), MSG_NOSIGNAL);
}

int warden_hand_over(const char *folder)
{
    struct word word = { .kind = WORD_USER, .uid = geteuid(), .gid = getegid() };
    int error = EPIPE;

    if (socket_fd >= 0 && send(socket_fd, &word, sizeof(word), MSG_NOSIGNAL) == sizeof(word) &&
        recv(socket_fd, &error, sizeof(error), 0) != sizeof(error))
        error = EPIPE;
    if (error == 0)
        return 0;
    nbdkit_error("cannot give %s to the user of -u: %s", folder, strerror(error));
    return -1;
}

void warden_dismiss(void)
{
    struct word farewell = { .kind = WORD_FAREWELL };
    struct pollfd end = { .fd = socket_fd };

    if (socket_fd < 0)
        return;
    /* The warden's end of the socket closes when it exits. */
    send(socket_fd, &farewell, sizeof farewell, MSG_NOSIGNAL);
    bool is_gone = poll(&end, 1, FAREWELL_MS) > 0;
    if (parent_pid == getpid())
        waitpid(warden_pid, NULL, is_gone ? 0 : WNOHANG);
    close(socket_fd);
    socket_fd = -1;
}
