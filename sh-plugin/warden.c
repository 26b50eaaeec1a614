/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns the warden process. The thread that loads and unloads the plugin enters
 * it, and the warden itself. Calls folder, leftovers, orphans and nbdkit_error.
 *
 * Nobody can catch SIGKILL. But a socket of which the server holds the only
 * other end tells its reader when the server is gone, however it went.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "folder.h"
#include "leftovers.h"
#include "orphans.h"
#include "warden.h"

#define FAREWELL_MS 1000
#define FOLDER_FD (STDERR_FILENO + 1) /* in the warden */

static int socket_fd = -1; /* our end; -1 if there is no warden */
static pid_t warden_pid;
static pid_t parent_pid; /* the warden's; not the server in the background */

/* What the server says to the warden. */
struct word {
    enum { WORD_FAREWELL, WORD_PRIVATE, WORD_USER } kind; /* the last one at most once */
    uid_t uid;
    gid_t gid;
};

/* The warden gives the folders away and follows the server. Returns 0 or an errno. */
static int follow(const struct folder *folder, const struct folder *private,
                  const struct word *word)
{
    int error = private->fd < 0 ? 0 : folder_give(private, word->uid, word->gid);

    if (error == 0)
        error = folder_give(folder, word->uid, word->gid);
    if (error != 0)
        return error;
    if (setgroups(0, NULL) < 0 || setresgid(word->gid, word->gid, word->gid) < 0 ||
        setresuid(word->uid, word->uid, word->uid) < 0)
        return errno;
    return 0;
}

/* The warden keeps nothing of the server but its end and the folder: no other socket, no terminal.
 */
static void keep_only(int fd, int folder_fd)
{
    dup2(fd, STDIN_FILENO);
    dup2(folder_fd, FOLDER_FD);
    closefrom(FOLDER_FD + 1);
    int null_fd = open("/dev/null", O_WRONLY);
    dup2(null_fd, STDOUT_FILENO);
    dup2(null_fd, STDERR_FILENO);
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
static _Noreturn void watch(const char *variable, const char *private_path)
{
    struct folder folder = { .path = variable + strlen("tmpdir="), .fd = FOLDER_FD };
    struct folder private = { .fd = -1 };
    struct word word;
    ssize_t count;

    while ((count = recv(STDIN_FILENO, &word, sizeof(word), 0)) != 0) {
        if (count < 0 && errno == EINTR)
            continue;
        if (count != sizeof(word) || word.kind == WORD_FAREWELL)
            _exit(EXIT_SUCCESS);
        if (word.kind == WORD_PRIVATE) {
            folder_take(&private, private_path);
            continue;
        }
        int error = follow(&folder, &private, &word);
        send(STDIN_FILENO, &error, sizeof(error), MSG_NOSIGNAL);
        if (error != 0)
            _exit(EXIT_FAILURE);
    }
    leftovers_end(variable, false);
    folder_remove(&folder);
    folder_remove(&private);
    _exit(EXIT_SUCCESS);
}

void warden_start(const char *variable, int folder_fd, const char *private)
{
    int ends[2] = { -1, -1 };

    orphans_begin_start();
    pid_t pid = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0 ? -1 : fork();
    if (pid == 0) {
        keep_only(ends[0], folder_fd);
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
