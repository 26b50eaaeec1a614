/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A folder that was made here, with all that is in it. What is done to it is done by its descriptor
 * and those of the folders in it: the owner of the folder around it could put a link to any other
 * in its place, while root gives it away or removes it. One thread at a time.
 */
#ifndef FOLDER_H
#define FOLDER_H

#include <sys/types.h>

struct folder {
    const char *path; /* the caller's */
    int fd;           /* -1: there is none */
};

/* Takes the folder that this process or its parent has just made. Returns 0 or an errno. */
int folder_take(struct folder *folder, const char *path);

/* Gives it and all that is in it to that user, itself last. Returns 0 or an errno. */
int folder_give(const struct folder *folder, uid_t uid, gid_t gid);

/* Removes it and all that is in it, as far as that is possible. */
void folder_remove(struct folder *folder);

#endif
