// SPDX-License-Identifier: BSD-3-Clause
/* Entered by any thread; calls nothing of ours. */
#include "descriptor.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <unistd.h>

bool descriptor_has_type(int fd, mode_t type)
{
    struct stat status;

    return fstat(fd, &status) == 0 && (status.st_mode & S_IFMT) == type;
}

/*
 * A pipe must not block its writer for good, but O_NONBLOCK on the given
 * description would change it for others who hold it: open our own.
 */
int descriptor_unblock_pipe(int fd, int mode)
{
    char path[64];

    /* Files do not block, and have a position that a new description would not share. */
    if (!descriptor_has_type(fd, S_IFIFO))
        return fd;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int own_fd = open(path, mode | O_NONBLOCK | O_CLOEXEC);
    if (own_fd < 0)
        return fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0 ? -1 : fd;
    close(fd);
    return own_fd;
}

/* Calls `handle` for each open descriptor from 3 on, but for the one that is used to list them. */
static void for_each(void (*handle)(int fd, int argument), int argument)
{
    DIR *list = opendir("/proc/self/fd");
    struct dirent *entry;

    while (list && (entry = readdir(list))) {
        int fd = isdigit((unsigned char)*entry->d_name) ? atoi(entry->d_name) : -1;
        if (fd > STDERR_FILENO && fd != dirfd(list))
            handle(fd, argument);
    }
    if (list)
        closedir(list);
}

/* Those that got the flag here. Written by the main thread, before others exist. */
static fd_set kept;

static void keep(int fd, int argument)
{
    (void)argument;
    if (fd < FD_SETSIZE && !(fcntl(fd, F_GETFD) & FD_CLOEXEC))
        FD_SET(fd, &kept);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* exec(3) leaves none open that has the flag: such a descriptor is the server's own. */
bool descriptor_is_inherited(int fd)
{
    int flags = fcntl(fd, F_GETFD);

    return flags >= 0 && (!(flags & FD_CLOEXEC) || (fd < FD_SETSIZE && FD_ISSET(fd, &kept)));
}

void descriptor_keep_inherited(void)
{
    for_each(keep, 0);
}

static void close_private(int fd, int spared_fd)
{
    if (fd != spared_fd && (fcntl(fd, F_GETFD) & FD_CLOEXEC))
        close(fd);
}

void descriptor_close_private(int spared_fd)
{
    for_each(close_private, spared_fd);
}
