/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A temporary folder for one run of the compiler.
 */
#ifndef ROOM_H
#define ROOM_H

struct room {
    char *folder;  /* absolute; NULL where there is none */
    char *source;  /* where a source is saved that is in no file */
    char *library; /* what the compiler is to write */
};

/*
 * Makes the folder, for this user alone, in $TMPDIR or /tmp. Returns 0, or -1
 * after nbdkit_error; in either case room_end() is to follow.
 */
int room_begin(struct room *room);

/* Removes the folder and all that is in it. */
void room_end(struct room *room);

#endif
