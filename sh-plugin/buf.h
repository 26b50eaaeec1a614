/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A bounded buffer that is filled from a descriptor: either memory of its own
 * that grows up to a limit, or the caller's memory, filled in place. What does
 * not fit is read, counted and dropped, so that the writer never blocks. No
 * locks: a buffer belongs to one thread.
 */
#ifndef BUF_H
#define BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct buf {
    char *data;      /* length bytes; followed by a NUL if the memory is our own */
    size_t length;   /* bytes */
    size_t capacity; /* bytes allocated, without that NUL */
    size_t limit;    /* bytes, greatest length */
    size_t dropped;  /* bytes that were read beyond the limit */
    bool is_callers; /* data belongs to the caller */
};

/* A buffer that grows up to max bytes, released where its scope ends. */
#define BUF_GROWING(name, max)                                                                     \
    __attribute__((cleanup(buf_release))) struct buf name = { .limit = (max) }

/* A buffer over the caller's memory of exactly size bytes. */
#define BUF_OVER(memory, size)                                                                     \
    {                                                                                              \
        .data = (memory), .capacity = (size), .limit = (size), .is_callers = true                  \
    }

/*
 * Reads once from fd. Returns the bytes read, 0 at end of file, or -1 with
 * errno (EAGAIN, or ENOMEM, after which nothing was read).
 */
ssize_t buf_read_fd(struct buf *buf, int fd);

/* The growing buffer's content as a string, never NULL; it stays the buffer's. */
char *buf_get_text(struct buf *buf);

/* Takes one newline off the end of a growing buffer, if there is one. */
void buf_drop_newline(struct buf *buf);

/* Frees the memory unless it is the caller's. */
void buf_release(struct buf *buf);

#endif
