// SPDX-License-Identifier: BSD-3-Clause
/*
 * Opens files that the command line names. Owns nothing. Entered by the main
 * thread at start-up; calls descriptor.
 */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "descriptor.h"

/* Who writes to a FIFO waits in open(2) for a reader, so it is there as soon as we are. */
enum { WRITER_MS = 1000 };

const char *files_explain(int error)
{
    switch (error) {
    case ENXIO:
        return "it is a socket";
    case ENODATA:
        return "it is a FIFO that nobody writes to";
    case ELOOP:
        return "it is a symbolic link in a folder that others may write to: they would choose "
               "the file";
    case EMLINK:
        return "the file has another name (a hard link), and others may write to the folder: "
               "they would choose the file";
    default:
        return strerrordesc_np(error);
    }
}

int files_open_folder(const char *path, const char **name)
{
    const char *slash = strrchr(path, '/');
    CLEANUP_FREE char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");

    if (!folder)
        return -1;
    *name = slash ? slash + 1 : path;
    return open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* With neither data nor a writer tee(2) finds the end; it takes nothing out of the FIFO. */
static bool has_writer(int fd)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return true;
    bool is_end = tee(fd, ends[1], 1, SPLICE_F_NONBLOCK) == 0;
    close(ends[0]);
    close(ends[1]);
    return !is_end;
}

int files_open_to_read(const char *path)
{
    struct pollfd in = {
        .fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC),
        .events = POLLIN,
    };

    if (in.fd < 0)
        return -1;
    if (descriptor_has_type(in.fd, S_IFIFO) && poll(&in, 1, WRITER_MS) <= 0 && !has_writer(in.fd)) {
        close(in.fd);
        errno = ENODATA;
        return -1;
    }
    fcntl(in.fd, F_SETFL, fcntl(in.fd, F_GETFL) & ~O_NONBLOCK);
    return in.fd;
}

/* May nobody but root and this user put files there? */
static bool is_folder_ours(int fd)
{
    struct stat status;

    return fstat(fd, &status) == 0 && (status.st_uid == 0 || status.st_uid == geteuid()) &&
           (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* A FIFO without a reader is no reason to wait: what comes later finds the messages in it. */
static int open_to_append(int folder_fd, const char *name, int more_flags)
{
    int flags = O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | more_flags;
    int fd = openat(folder_fd, name, O_WRONLY | flags, 0640);

    return fd < 0 && errno == ENXIO ? openat(folder_fd, name, O_RDWR | flags) : fd;
}

int files_open_to_append(const char *path)
{
    const char *name;
    struct stat status;
    CLEANUP_CLOSE int folder_fd = files_open_folder(path, &name);

    if (folder_fd < 0)
        return -1;
    bool is_ours = is_folder_ours(folder_fd);
    int fd = open_to_append(folder_fd, name, is_ours ? 0 : O_NOFOLLOW);
    if (fd < 0 || is_ours || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) ||
        status.st_nlink == 1)
        return fd;
    close(fd);
    errno = EMLINK;
    return -1;
}
