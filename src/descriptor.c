// SPDX-License-Identifier: BSD-3-Clause
/* Entered by any thread; calls nothing of ours. */
#include "descriptor.h"

#include <fcntl.h>
#include <stdio.h>
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
