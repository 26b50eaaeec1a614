/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bytes that were read before anybody asked for them: a window on a stream.
 * One thread at a time.
 */
#ifndef AHEAD_H
#define AHEAD_H

#include <stddef.h>

/* The most that is read at once, and that can be looked at. */
enum { AHEAD_BYTES = 256 * 1024 };

struct ahead {
    char *data; /* AHEAD_BYTES of them; the unread ones are data[begin..end-1] */
    size_t begin;
    size_t end;
};

/* Makes an empty one, which takes memory as it is filled. Returns 0, or -1 with errno. */
int ahead_init(struct ahead *ahead);
void ahead_free(struct ahead *ahead);

/* How many bytes are unread. */
size_t ahead_count(const struct ahead *ahead);

/* The unread bytes; valid until something is added. */
char *ahead_peek(const struct ahead *ahead);

/* Takes up to `length` bytes out; a NULL `buffer` drops them. Returns how many. */
size_t ahead_take(struct ahead *ahead, void *buffer, size_t length);

/*
 * Makes room behind the unread bytes, which may move. Returns where the next
 * ones go, and in *room how many of them fit: 0 only where all AHEAD_BYTES are unread.
 */
char *ahead_make_room(struct ahead *ahead, size_t *room);

/* So many have come to be there. */
void ahead_add(struct ahead *ahead, size_t count);

/* Gives back the memory of an empty one. */
void ahead_rest(struct ahead *ahead);

/* Makes an empty `copy` hold the unread bytes too. */
void ahead_copy(const struct ahead *ahead, struct ahead *copy);

#endif
