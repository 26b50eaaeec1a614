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
#include "conn.h"
#include "extents.h"
#include "io.h"
#define NBDKIT_API_VERSION 2
#include "nbdkit-plugin.h"
#include "outbox.h"
#include "reply.h"
#include "request.h"
#include "wire.h"

static void fail(struct answer *answer, int error, const char *text)
{
    answer->error = error;
    answer->text = text;
}

static void fail_without_memory(struct answer *answer)
{
    fail(answer, ENOMEM, "the server has no memory for the reply");
}

/* The plugin's callback is done. */
static void take_result(struct answer *answer, int error)
{
    fail(answer, error, error ? api_log_get_text() : "");
}

static void perform_read(struct conn *conn, const struct request *request, struct answer *answer)
{
    struct io_range range = { request->offset, request->count };
    bool may_split = conn->has_structured_replies && !(request->flags & NBD_CMD_FLAG_DF);

    if (!request->outbox)
        answer->memory = spares_take(&conn->spares, range.count);
    answer->data = request->outbox ? outbox_get_data(request->outbox) : answer->memory;
    if (!answer->data)
        fail_without_memory(answer);
    else if (may_split && io_is_sparse_read(conn, range))
        take_result(answer, io_read_sparse(conn, range, answer->data, answer->pieces,
                                           &answer->piece_count));
    else
        take_result(answer, io_read(conn, range, answer->data));
}

static void perform_block_status(struct conn *conn, const struct request *request,
                                 struct answer *answer)
{
    struct io_range range = { request->offset, request->count };
    uint64_t end = range.offset + range.count;
    bool is_one = request->flags & NBD_CMD_FLAG_REQ_ONE;
    /* Without that flag the last extent may tell of what follows, which saves asking. */
    uint64_t limit = is_one ? end : conn->export.size_bytes;

    answer->extents = extents_new((struct extents_range){ range.offset, end, limit }, EXTENTS_MAX);
    if (answer->extents)
        take_result(answer, io_extents(conn, range, is_one, answer->extents));
    else
        fail_without_memory(answer);
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

void protocol_perform(struct conn *conn, const struct request *request, struct answer *answer)
{
    answer->data = answer->memory = NULL;
    answer->piece_count = 0;
    answer->extents = NULL;
    if (request->error)
        fail(answer, request->error, request->text);
    else if (request->type == NBD_CMD_READ)
        perform_read(conn, request, answer);
    else if (request->type == NBD_CMD_BLOCK_STATUS)
        perform_block_status(conn, request, answer);
    else
        take_result(answer, do_plain(conn, request));
}

void protocol_reply(struct conn *conn, struct request *request, struct answer *answer)
{
    if (answer->error)
        reply_error(conn, request, answer->error, answer->text);
    else if (answer->piece_count > 0)
        reply_pieces(conn, request, answer->pieces, answer->piece_count, answer->data);
    else if (answer->data)
        reply_data(conn, request, answer->data);
    else if (answer->extents)
        reply_extents(conn, request, answer->extents);
    else
        reply_done(conn, request);
    nbdkit_extents_free(answer->extents);
    spares_give(&conn->spares, answer->memory, request->count);
    request_release(conn, request);
}
