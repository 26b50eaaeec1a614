/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Replies that wait to be sent together. What a request reads is read to where
 * it will be sent from. One thread at a time.
 */
#ifndef OUTBOX_H
#define OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

enum {
    OUTBOX_DATA_BYTES = 128 * 1024,
    OUTBOX_HEAD_BYTES = 12 * 1024,
    OUTBOX_VECTORS = 512,
    OUTBOX_REPLY_HEAD_BYTES = 6 * 1024, /* the longest reply takes, besides its data */
    OUTBOX_REPLY_VECTORS = 200,
};

struct outbox {
    char data[OUTBOX_DATA_BYTES]; /* what was read, each at an address that suits any type */
    char heads[OUTBOX_HEAD_BYTES];
    struct iovec vectors[OUTBOX_VECTORS]; /* in the order of sending; into `data` and `heads` */
    int vector_count;
    size_t data_used;
    size_t heads_used;
};

/* Makes an empty one, which takes memory as it is filled. Returns NULL with errno. */
struct outbox *outbox_new(void);
void outbox_free(struct outbox *outbox);

bool outbox_is_empty(const struct outbox *outbox);

/* Is there room for any reply with so much data? */
bool outbox_has_room(const struct outbox *outbox, size_t data_bytes);

/* Where the data of the next reply goes; outbox_append() makes it part of a reply. */
char *outbox_get_data(struct outbox *outbox);

/*
 * Appends a reply. Vectors into what outbox_get_data() returned stay where they are, all others
 * are copied. There must be room.
 */
void outbox_append(struct outbox *outbox, const struct iovec *vectors, int count);

/* Drops what it holds, once it is sent. */
void outbox_clear(struct outbox *outbox);

/* The same, but that what outbox_get_data() returned is still in use. */
void outbox_clear_replies(struct outbox *outbox);

#endif
