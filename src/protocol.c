// SPDX-License-Identifier: BSD-3-Clause
/*
 * Has requests done, and answers them. Entered by every thread of a session;
 * calls io and reply.
 */
#include "protocol.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "api_log.h"
#include "cleanup.h"
#include "conn.h"
#include "extents.h"
#include "io.h"
#define NBDKIT_API_VERSION 2
#include "nbdkit-plugin.h"
#include "reply.h"
#include "request.h"
#include "sparse.h"
#include "wire.h"

static void reply_plugin_error(struct conn *conn, const struct request *request, int error)
{
    reply_error(conn, request, error, api_log_get_text());
}

static void reply_no_memory(struct conn *conn, const struct request *request)
{
    reply_error(conn, request, ENOMEM, "the server has no memory for the reply");
}

static void answer_sparse_read(struct conn *conn, const struct request *request, char *buffer)
{
    struct io_range range = { request->offset, request->count };
    struct sparse_piece pieces[SPARSE_PIECES_MAX];
    size_t count;
    int error = io_read_sparse(conn, range, buffer, pieces, &count);

    if (error)
        reply_plugin_error(conn, request, error);
    else
        reply_pieces(conn, request, pieces, count, buffer);
}

static void answer_plain_read(struct conn *conn, const struct request *request, char *buffer)
{
    struct io_range range = { request->offset, request->count };
    int error = io_read(conn, range, buffer);

    if (error)
        reply_plugin_error(conn, request, error);
    else
        reply_data(conn, request, buffer);
}

static void answer_read(struct conn *conn, const struct request *request)
{
    struct io_range range = { request->offset, request->count };
    bool may_split = conn->has_structured_replies && !(request->flags & NBD_CMD_FLAG_DF);
    CLEANUP_FREE void *buffer = malloc(request->count);

    if (!buffer)
        reply_no_memory(conn, request);
    else if (may_split && io_is_sparse_read(conn, range))
        answer_sparse_read(conn, request, buffer);
    else
        answer_plain_read(conn, request, buffer);
}

static void answer_block_status(struct conn *conn, const struct request *request)
{
    struct io_range range = { request->offset, request->count };
    struct nbdkit_extents *extents =
        extents_new(range.offset, range.offset + range.count, EXTENTS_MAX);

    if (!extents) {
        reply_no_memory(conn, request);
        return;
    }
    int error = io_extents(conn, range, request->flags & NBD_CMD_FLAG_REQ_ONE, extents);
    if (error)
        reply_plugin_error(conn, request, error);
    else
        reply_extents(conn, request, extents);
    nbdkit_extents_free(extents);
}

static int do_zero(struct conn *conn, const struct request *request)
{
    struct io_range range = { request->offset, request->count };
    struct io_zero_flags flags = {
        .is_fua = request->flags & NBD_CMD_FLAG_FUA,
        .may_trim = !(request->flags & NBD_CMD_FLAG_NO_HOLE),
        .is_fast = request->flags & NBD_CMD_FLAG_FAST_ZERO,
    };

    return io_zero(conn, range, flags);
}

/* Does a request whose reply has no data. Returns 0 or an errno value. */
static int do_plain(struct conn *conn, const struct request *request)
{
    struct io_range range = { request->offset, request->count };
    bool is_fua = request->flags & NBD_CMD_FLAG_FUA;

    switch (request->type) {
    case NBD_CMD_WRITE:
        return io_write(conn, range, request->payload, is_fua);
    case NBD_CMD_FLUSH:
        return io_flush(conn);
    case NBD_CMD_TRIM:
        return io_trim(conn, range, is_fua);
    case NBD_CMD_CACHE:
        return io_cache(conn, range);
    default:
        return do_zero(conn, request);
    }
}

static void answer_plain(struct conn *conn, const struct request *request)
{
    int error = do_plain(conn, request);

    if (error)
        reply_plugin_error(conn, request, error);
    else
        reply_done(conn, request);
}

void protocol_answer(struct conn *conn, struct request *request)
{
    if (request->error)
        reply_error(conn, request, request->error, request->text);
    else if (request->type == NBD_CMD_READ)
        answer_read(conn, request);
    else if (request->type == NBD_CMD_BLOCK_STATUS)
        answer_block_status(conn, request);
    else
        answer_plain(conn, request);
    request_release(conn, request);
}
