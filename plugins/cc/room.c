/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Makes and removes temporary folders. Owns nothing. Entered by the thread that
 * configures the server; calls text and nbdkit_error.
 */
#include <errno.h>
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
