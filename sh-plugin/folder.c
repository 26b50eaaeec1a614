/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns the descriptors of folders that were made here. The thread that loads
 * and unloads the plugin enters it, and the warden. Calls nothing of ours.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "folder.h"

#define FOLDER_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define ROUNDS_MAX 8 /* readdir(3) may pass over names while others go */

int folder_take(struct folder *folder, const char *path)
{
    struct stat status;
    int fd = open(path, FOLDER_FLAGS);

    *folder = (struct folder){ .path = path, .fd = -1 };
    if (fd < 0)
        return errno;
    /* Root would give it away. Some file systems show other owners than there are. */
    if (geteuid() == 0 && fstat(fd, &status) == 0 && status.st_uid != 0) {
        close(fd);
        return EEXIST;
    }
    folder->fd = fd;
    return 0;
}

/* The entries of a folder, whose descriptor stays the caller's; or NULL with errno. */
static DIR *open_list(int fd)
{
    int own_fd = openat(fd, ".", FOLDER_FLAGS);
    DIR *list = own_fd < 0 ? NULL : fdopendir(own_fd);

    if (list == NULL && own_fd >= 0)
        close(own_fd);
    return list;
}

/* The next entry but "." and "..", or NULL. */
static const char *next_name(DIR *list)
{
    const struct dirent *entry;

    do
        entry = readdir(list);
    while (entry != NULL && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0));
    return entry == NULL ? NULL : entry->d_name;
}

/* Opens a folder in another one, of the same file system. Returns -1 where that is not possible. */
static int open_inner(int fd, const char *name)
{
    struct stat outer;
    struct stat inner;
    int inner_fd = openat(fd, name, FOLDER_FLAGS);

    if (inner_fd < 0 ||
        (fstat(fd, &outer) == 0 && fstat(inner_fd, &inner) == 0 && outer.st_dev == inner.st_dev))
        return inner_fd;
    close(inner_fd);
    errno = EXDEV;
    return -1;
}

static int give_all(int fd, uid_t uid, gid_t gid);

/* A file with another name elsewhere was not made here. */
static int give_entry(int fd, const char *name, uid_t uid, gid_t gid)
{
    struct stat status;

    if (fstatat(fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : errno;
    if (!S_ISDIR(status.st_mode)) {
        bool is_given =
            status.st_nlink != 1 || fchownat(fd, name, uid, gid, AT_SYMLINK_NOFOLLOW) == 0;
        return is_given ? 0 : errno;
    }
    int inner_fd = open_inner(fd, name);
    if (inner_fd < 0)
        return errno == EXDEV ? 0 : errno;
    int error = give_all(inner_fd, uid, gid);
    close(inner_fd);
    return error;
}

/* The folder itself comes last: until then the user cannot come to what is in it. */
static int give_all(int fd, uid_t uid, gid_t gid)
{
    DIR *list = open_list(fd);
    const char *name;
    int error = list == NULL ? errno : 0;

    while (error == 0 && (name = next_name(list)) != NULL)
        error = give_entry(fd, name, uid, gid);
    if (list != NULL)
        closedir(list);
    return error != 0 || fchown(fd, uid, gid) == 0 ? error : errno;
}

int folder_give(const struct folder *folder, uid_t uid, gid_t gid)
{
    return give_all(folder->fd, uid, gid);
}

static void remove_all(int fd);

static void remove_inner(int fd, const char *name)
{
    int inner_fd = open_inner(fd, name);

    /* A script may have made folders that not even their owner may enter. */
    if (inner_fd < 0 && errno == EACCES && fchmodat(fd, name, S_IRWXU, 0) == 0)
        inner_fd = open_inner(fd, name);
    if (inner_fd < 0)
        return;
    remove_all(inner_fd);
    close(inner_fd);
    unlinkat(fd, name, AT_REMOVEDIR);
}

static void remove_all(int fd)
{
    bool is_left = true;

    fchmod(fd, S_IRWXU);
    for (int i = 0; i < ROUNDS_MAX && is_left; i++) {
        DIR *list = open_list(fd);
        const char *name;
        is_left = false;
        while (list != NULL && (name = next_name(list)) != NULL) {
            is_left = true;
            if (unlinkat(fd, name, 0) < 0)
                remove_inner(fd, name);
        }
        if (list != NULL)
            closedir(list);
    }
}

void folder_remove(struct folder *folder)
{
    if (folder->fd < 0)
        return;
    remove_all(folder->fd);
    /* Where somebody put another folder in its place, that one stays if there is anything in it. */
    rmdir(folder->path);
    close(folder->fd);
    folder->fd = -1;
}
