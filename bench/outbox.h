/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests that go out together, with as few system calls as can be. One thread. */
#ifndef OUTBOX_H
#define OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#include "wire.h"

struct outbox {
    int fd;
    unsigned char *headers;
    size_t header_bytes;
    struct iovec *vectors;
    size_t vector_count;
    size_t sent_count; /* vectors that have been sent */
};

/* Room for `depth` requests; the socket remains the caller's. */
void outbox_init(struct outbox *outbox, int fd, unsigned depth);
void outbox_free(struct outbox *outbox);

/*
 * Adds a request and its payload, which must stay where it is until the outbox is empty; a read has
 * none. No more than `depth` may be added before the outbox is empty again.
 */
void outbox_add(struct outbox *outbox, const struct wire_request *request, const void *payload,
                size_t bytes);

/* Sends what can be sent without waiting. Returns true if the outbox is empty then. */
bool outbox_flush(struct outbox *outbox);

static inline bool outbox_is_empty(const struct outbox *outbox)
{
    return outbox->vector_count == 0;
}

#endif
