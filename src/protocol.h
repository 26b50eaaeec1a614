/* SPDX-License-Identifier: BSD-3-Clause */
/* The transmission phase (proto.md, "Transmission phase"): a request is done and replied to. */
#ifndef PROTOCOL_H
#define PROTOCOL_H

#include <stddef.h>

#include "sparse.h"

struct conn;
struct nbdkit_extents;
struct request;

/* What came of a request. */
struct answer {
    int error;        /* errno value, or 0 */
    const char *text; /* why; the thread's, until its next request */
    char *data;       /* of a read; in the request's outbox, or in `memory` */
    void *memory;
    size_t piece_count; /* 0: `data` is all data */
    struct sparse_piece pieces[SPARSE_PIECES_MAX];
    struct nbdkit_extents *extents; /* of a block status */
};

/*
 * Does what was asked. A read with an outbox must find room for its data
 * there, and puts it there. Any thread of the session.
 */
void protocol_perform(struct conn *conn, const struct request *request, struct answer *answer);

/* Replies, and releases the request and its answer. The thread that performed it. */
void protocol_reply(struct conn *conn, struct request *request, struct answer *answer);

#endif
