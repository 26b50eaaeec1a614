// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns the pid file. Entered by the main thread; calls files and log.
 *
 * The folder may belong to another user, while the server is root: that user
 * could put a link to any file where the pid file is to be.
 */
#include "pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "files.h"
#include "log.h"

enum { NAME_SIZE = 48, NAMES_MAX = 100 };

static struct {
    const char *path; /* NULL until the file is there */
    const char *name; /* in the folder */
    int folder_fd;    /* O_PATH: the path may lead elsewhere by now */
    int fd;           /* open while the file is there: who may not remove it can still empty it */
} pid_file = { .folder_fd = -1, .fd = -1 };

/* Why the file that is there is not to be replaced, or NULL. */
static const char *find_obstacle(int folder_fd, const char *name)
{
    struct stat there;

    if (fstatat(folder_fd, name, &there, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT && *name ? NULL : strerrordesc_np(*name ? errno : EISDIR);
    if (S_ISLNK(there.st_mode))
        return "it is a symbolic link, which is not followed; name the file itself";
    if (!S_ISREG(there.st_mode))
        return "it is no regular file";
    return there.st_nlink == 1 ? NULL : "the file has another name (a hard link); remove it first";
}

/* Makes a file beside the one to be. Returns its descriptor, or -1 with errno. */
static int make_new(int folder_fd, char name[NAME_SIZE])
{
    int fd = -1;

    for (int i = 0; i < NAMES_MAX; i++) {
        snprintf(name, NAME_SIZE, ".nbdlab-%ld-%d", (long)getpid(), i);
        fd = openat(folder_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST)
            break;
    }
    return fd;
}

/* Puts a new file into place. Returns its descriptor, or -1 with errno. */
static int replace(int folder_fd, const char *name)
{
    char new_name[NAME_SIZE];
    char line[32];
    ssize_t length = snprintf(line, sizeof line, "%ld\n", (long)getpid());
    int fd = make_new(folder_fd, new_name);

    if (fd < 0)
        return -1;
    if (write(fd, line, (size_t)length) == length &&
        renameat(folder_fd, new_name, folder_fd, name) == 0)
        return fd;
    int error = errno;
    unlinkat(folder_fd, new_name, 0);
    close(fd);
    errno = error;
    return -1;
}

static const char *advise(int error)
{
    switch (error) {
    case ENOENT:
        return "; make the folder first";
    case EACCES:
    case EPERM:
        return "; a new file is made in the folder, which must allow that";
    default:
        return "";
    }
}

int pidfile_write(const char *path)
{
    pid_file.folder_fd = files_open_folder(path, &pid_file.name);
    const char *obstacle =
        pid_file.folder_fd < 0 ? NULL : find_obstacle(pid_file.folder_fd, pid_file.name);

    if (obstacle) {
        log_error("-P/--pidfile: cannot write %s: %s", path, obstacle);
        return -1;
    }
    if (pid_file.folder_fd >= 0)
        pid_file.fd = replace(pid_file.folder_fd, pid_file.name);
    if (pid_file.fd < 0) {
        log_error("-P/--pidfile: cannot write %s: %m%s", path, advise(errno));
        return -1;
    }
    pid_file.path = path;
    return 0;
}

void pidfile_give(uid_t uid, gid_t gid)
{
    if (pid_file.fd >= 0 && fchown(pid_file.fd, uid, gid) < 0)
        log_debug("cannot give %s away: %m", pid_file.path);
}

/* Another server may have written its own, into our file or in its place. */
static bool is_ours(void)
{
    char text[32] = "";
    struct stat ours;
    struct stat there;

    return pread(pid_file.fd, text, sizeof text - 1, 0) > 0 &&
           strtol(text, NULL, 10) == (long)getpid() && fstat(pid_file.fd, &ours) == 0 &&
           (fstatat(pid_file.folder_fd, pid_file.name, &there, AT_SYMLINK_NOFOLLOW) < 0 ||
            (ours.st_dev == there.st_dev && ours.st_ino == there.st_ino));
}

void pidfile_clear_away(void)
{
    if (pid_file.path && is_ours() && unlinkat(pid_file.folder_fd, pid_file.name, 0) < 0 &&
        ftruncate(pid_file.fd, 0) < 0)
        return; /* Nobody is left to tell. */
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void pidfile_remove(void)
{
    if (pid_file.path && is_ours() && unlinkat(pid_file.folder_fd, pid_file.name, 0) < 0 &&
        errno != ENOENT) {
        log_warning("cannot remove the pid file %s: %m; it is empty now", pid_file.path);
        if (ftruncate(pid_file.fd, 0) < 0)
            log_error("%s: %m", pid_file.path);
    }
    close_fd(&pid_file.fd);
    close_fd(&pid_file.folder_fd);
    pid_file.path = NULL;
}
