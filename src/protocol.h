/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The transmission phase (proto.md, "Transmission phase"): read a request,
 * check it, have it done, and reply.
 */
#ifndef PROTOCOL_H
#define PROTOCOL_H

#include <stdint.h>

struct conn;

struct request {
    uint16_t flags;  /* NBD_CMD_FLAG_* */
    uint16_t type;   /* NBD_CMD_* */
    uint64_t cookie; /* the client's, sent back as it came */
    uint64_t offset;
    uint32_t count; /* bytes */
    int error;      /* errno of a request that will be refused, else 0 */
    void *payload;  /* of NBD_CMD_WRITE; the request's, from malloc(3) */
};

/*
 * Reads the next request and its payload, and checks it against what was
 * negotiated and the limits of proto.md. Returns 1; 0 where the client is done
 * (NBD_CMD_DISC, end of file); -1 after a violation or an error: the
 * connection is then DEAD, or beyond ACTIVE and DRAINING already. One thread at a time.
 */
int protocol_read_request(struct conn *conn, struct request *request);

/* Does what was asked, replies, and frees the payload. Any thread of the session. */
void protocol_answer(struct conn *conn, struct request *request);

#endif
