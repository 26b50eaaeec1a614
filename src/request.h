/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A client's request (proto.md, "Request message"): reading it, and checking it
 * against what was negotiated and the limits of proto.md.
 */
#ifndef REQUEST_H
#define REQUEST_H

#include <stdbool.h>
#include <stdint.h>

struct conn;

struct outbox;

enum {
    REQUEST_TEXT_MAX = 160,
    REQUEST_SMALL_BYTES = 32 * 1024, /* a read or a write of more gets memory of its own */
};

struct request {
    uint16_t flags;  /* NBD_CMD_FLAG_* */
    uint16_t type;   /* NBD_CMD_* */
    uint64_t cookie; /* the client's, sent back as it came */
    uint64_t offset;
    uint64_t count;              /* bytes of the export that it is about */
    uint64_t payload_left;       /* bytes of it that are still to be read */
    int error;                   /* errno of a request that will be refused, else 0 */
    char text[REQUEST_TEXT_MAX]; /* why it will be */
    void *payload;               /* of NBD_CMD_WRITE; from malloc(3), or borrowed if is_small */
    bool is_small;               /* it holds no memory */
    struct outbox *outbox;       /* where the reply waits for others; NULL: it is sent at once */
    uint64_t memory;             /* bytes of the budget that are its own */
};

/*
 * Reads the next request and its payload, once there is memory for it. Returns 1; 0 where the
 * client is done (NBD_CMD_DISC, end of file); -1 after a violation or an error: the connection is
 * then DEAD, or beyond ACTIVE and DRAINING already. One thread at a time.
 */
int request_read(struct conn *conn, struct request *request);

/*
 * Waits until there is something to read. Returns 1; 0 where the client is idle; -1 where there
 * will be nothing: it is done, or the connection is DEAD or beyond DRAINING. The reader.
 */
int request_await(struct conn *conn);

/* Can the next request be read without waiting, and is it small? In place of the reader. */
bool request_is_at_hand(struct conn *conn);

/*
 * Has the request keep what a small one borrows, in memory of its own; may wait
 * for that. Failure makes it a refused one. The reader, before it reads on.
 */
void request_keep(struct conn *conn, struct request *request);

/* Frees what the request holds, once it is answered. Any thread of the session. */
void request_release(struct conn *conn, struct request *request);

/* What the request asks for, in words. */
const char *request_get_name(const struct request *request);

#endif
