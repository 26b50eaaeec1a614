/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Replies to requests (proto.md, "Simple reply message", "Structured reply
 * chunk message", "Extended reply chunk message"), in the form that was
 * negotiated. Each sends a whole reply, unless the connection is DEAD. Any
 * thread of the session.
 */
#ifndef REPLY_H
#define REPLY_H

#include <stddef.h>

struct conn;
struct nbdkit_extents;
struct request;
struct sparse_piece;

/* Success, without data. */
void reply_done(struct conn *conn, const struct request *request);

/* Failure: `error` is an errno value; `text`, which may be "", tells the user why. */
void reply_error(struct conn *conn, const struct request *request, int error, const char *text);

/* The `request->count` bytes of a read. */
void reply_data(struct conn *conn, const struct request *request, void *data);

/* The same in pieces, which are data in `data` or holes; with chunks only. */
void reply_pieces(struct conn *conn, const struct request *request,
                  const struct sparse_piece *pieces, size_t count, char *data);

/* The extents of a block status; at least one. */
void reply_extents(struct conn *conn, const struct request *request,
                   const struct nbdkit_extents *extents);

#endif
