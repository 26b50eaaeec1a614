// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns lock files. Entered by the main thread; calls files and log.
 */
#include "claim.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "files.h"
#include "log.h"

/* It takes a millisecond; who has not given the claim back by then was stopped, or never will. */
enum { PATIENCE_MS = 5000, LOOK_EACH_MS = 5 };

/*
 * Another user's file may be a link, or a FIFO: nothing is done to it, and nobody waits for it.
 * EBUSY: it cannot be opened; EAGAIN: it was removed meanwhile.
 */
static int open_file(int folder_fd, const char *name)
{
    int flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    int fd = openat(folder_fd, name, flags | O_CREAT | O_EXCL, 0600);

    if (fd >= 0 || errno != EEXIST)
        return fd;
    fd = openat(folder_fd, name, flags);
    if (fd < 0)
        errno = errno == ENOENT ? EAGAIN : EBUSY;
    return fd;
}

/* Whoever had the claim before has removed the file that it had locked. */
static bool is_there(int folder_fd, const char *name, int fd)
{
    struct stat ours;
    struct stat there;

    return fstat(fd, &ours) == 0 && fstatat(folder_fd, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
           ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

/* Returns the lock's descriptor, or -1 with errno; EAGAIN: it may work later. */
static int try_once(int folder_fd, const char *name)
{
    int fd = open_file(folder_fd, name);
    int error = EAGAIN;

    if (fd < 0)
        return -1;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        error = errno;
    else if (is_there(folder_fd, name, fd))
        return fd;
    close(fd);
    errno = error;
    return -1;
}

static int try_for_a_while(const struct claim *claim)
{
    int64_t give_up_at_ms = clock_read_ms() + PATIENCE_MS;
    int fd;

    while ((fd = try_once(claim->folder_fd, claim->name)) < 0 && errno == EAGAIN &&
           clock_read_ms() < give_up_at_ms)
        poll(NULL, 0, LOOK_EACH_MS);
    return fd;
}

int claim_begin(struct claim *claim, const char *path)
{
    const char *name;

    claim->fd = -1;
    claim->folder_fd = files_open_folder(path, &name);
    if (claim->folder_fd < 0)
        return 0;
    /* Not NAME.lock, which may be the user's own, of flock(1) around the server. */
    snprintf(claim->name, sizeof claim->name, ".%s.nbdlab-lock", name);
    claim->fd = try_for_a_while(claim);
    if (claim->fd >= 0 || (errno != EAGAIN && errno != EBUSY && errno != EMFILE))
        return 0;
    log_error("-U/--unix: %s is in use by another server, or %s beside it is in the way: %s", path,
              claim->name, strerrordesc_np(errno));
    claim_end(claim);
    return -1;
}

void claim_end(struct claim *claim)
{
    if (claim->fd >= 0) {
        unlinkat(claim->folder_fd, claim->name, 0);
        close(claim->fd);
    }
    if (claim->folder_fd >= 0)
        close(claim->folder_fd);
    claim->fd = claim->folder_fd = -1;
}
