/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Makes and removes temporary folders. Owns nothing. Entered by the thread that
 * configures the server; calls text and nbdkit_error.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "room.h"
#include "text.h"

static int make_folder(struct room *room)
{
    const char *named = getenv("TMPDIR");
    CLEANUP_FREE char *above = nbdkit_absolute_path(named && *named ? named : "/tmp");
    CLEANUP_FREE char *path = above ? text_format("%s/nbdlab-cc-XXXXXX", above) : NULL;

    if (!path)
        return -1;
    if (!mkdtemp(path)) {
        nbdkit_error("cannot make a folder for the compiler in %s: %s; $TMPDIR can name another "
                     "place",
                     above, strerror(errno));
        return -1;
    }
    room->folder = path;
    path = NULL;
    return 0;
}

int room_begin(struct room *room)
{
    memset(room, 0, sizeof *room);
    if (make_folder(room) < 0)
        return -1;
    room->source = text_format("%s/inline.c", room->folder);
    room->library = text_format("%s/plugin.so", room->folder);
    return room->source && room->library ? 0 : -1;
}

/* Copies from one descriptor to the other. Returns 0, or -1 with errno. */
static int copy_all(int from_fd, int to_fd)
{
    char block[65536];
    ssize_t count;

    while ((count = read(from_fd, block, sizeof block)) > 0)
        for (ssize_t done = 0, written; done < count; done += written) {
            written = write(to_fd, block + done, (size_t)(count - done));
            if (written < 0)
                return -1;
        }
    return count < 0 ? -1 : 0;
}

int room_save_stdin(const struct room *room)
{
    if (!nbdkit_stdio_safe()) {
        nbdkit_error("script=- reads the source from standard input, which the client uses "
                     "(-s): save the source in a file");
        return -1;
    }
    int fd = open(room->source, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int result = fd < 0 ? -1 : copy_all(STDIN_FILENO, fd);
    if (result < 0)
        nbdkit_error("cannot save the source in %s: %s", room->source, strerror(errno));
    if (fd >= 0)
        close(fd);
    return result;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    remove(path);
    return 0;
}

void room_end(struct room *room)
{
    /* Some compilers leave more there than they were asked for. */
    if (room->folder)
        nftw(room->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    free(room->folder);
    free(room->source);
    free(room->library);
    memset(room, 0, sizeof *room);
}
