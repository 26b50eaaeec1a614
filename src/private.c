// SPDX-License-Identifier: BSD-3-Clause
/*
 * Makes private folders. Owns nothing. Entered by the main thread; calls log.
 */
#include "private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cleanup.h"
#include "log.h"

#define PREFIX "nbdlab"
#define RANDOM_PART "XXXXXX"

/* Another server may take a new folder for a stale one before it is locked; again then. */
enum { TRIES_MAX = 100 };

static const char *find_parent(void)
{
    const char *temporary = getenv("TMPDIR");

    return temporary && *temporary == '/' ? temporary : "/tmp";
}

/* Servers of earlier versions do not lock their folders. */
static bool is_served(int fd)
{
    CLEANUP_CLOSE int socket_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/" PRIVATE_SOCKET, fd);
    return socket_fd < 0 ||
           connect(socket_fd, (const struct sockaddr *)&address, sizeof address) == 0 ||
           (errno != ECONNREFUSED && errno != ENOENT);
}

/* Root may remove the folder of a server that became another user. */
static bool is_stale(int fd)
{
    struct stat status;

    if (fstat(fd, &status) < 0 || (status.st_mode & 07777) != 0700 ||
        (status.st_uid != geteuid() && geteuid() != 0))
        return false;
    /* An empty one may be of somebody who has just made it, with mktemp(1). */
    if (fstatat(fd, PRIVATE_SOCKET, &status, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISSOCK(status.st_mode))
        return false;
    return flock(fd, LOCK_EX | LOCK_NB) == 0 && !is_served(fd);
}

static void sweep(const char *parent)
{
    DIR *folder = opendir(parent);
    const struct dirent *entry;

    while (folder && (entry = readdir(folder))) {
        if (strlen(entry->d_name) != strlen(PREFIX RANDOM_PART) ||
            strncmp(entry->d_name, PREFIX, strlen(PREFIX)) != 0)
            continue;
        CLEANUP_CLOSE int fd =
            openat(dirfd(folder), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || !is_stale(fd))
            continue;
        unlinkat(fd, PRIVATE_SOCKET, 0);
        /* Fails where there is anything else in it. */
        unlinkat(dirfd(folder), entry->d_name, AT_REMOVEDIR);
    }
    if (folder)
        closedir(folder);
}

/* Returns the descriptor of a folder that was made, locked; or -1 with errno, ENOENT: it is gone.
 */
static int lock(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat ours;
    struct stat there;

    if (fd < 0)
        return -1;
    /* Where no folder can be locked, nobody finds one stale. */
    bool is_locked = flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
    if (is_locked && fstat(fd, &ours) == 0 && lstat(path, &there) == 0 &&
        ours.st_dev == there.st_dev && ours.st_ino == there.st_ino)
        return fd;
    close(fd);
    errno = ENOENT;
    return -1;
}

/* Returns as private_make_folder(), with errno. */
static char *try_once(const char *parent, int *fd)
{
    char *path;

    if (asprintf(&path, "%s/" PREFIX RANDOM_PART, parent) < 0)
        return NULL;
    *fd = mkdtemp(path) ? lock(path) : -1;
    if (*fd >= 0)
        return path;
    int error = errno;
    if (error != ENOENT)
        rmdir(path);
    free(path);
    errno = error;
    return NULL;
}

char *private_make_folder(int *fd)
{
    const char *parent = find_parent();
    char *path = NULL;

    sweep(parent);
    for (int i = 0; i < TRIES_MAX && !path; i++) {
        path = try_once(parent, fd);
        if (!path && errno != ENOENT)
            break;
    }
    if (!path)
        log_error("-U -: cannot make a private folder for the socket in %s: %m; set TMPDIR to a "
                  "folder that can be written",
                  parent);
    return path;
}
