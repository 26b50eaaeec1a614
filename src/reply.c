// SPDX-License-Identifier: BSD-3-Clause
/*
 * Puts replies together and sends them, or has them wait in an outbox. Entered
 * by every thread of a session; calls conn and outbox.
 */
#include "reply.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "conn.h"
#include "debug_flags.h"
#include "extents.h"
#include "outbox.h"
#include "request.h"
#include "sparse.h"
#include "utf8.h"
#include "wire.h"

static const struct iovec nothing = { NULL, 0 };

/*
 * Maps errno to the error values of the protocol: section "Error values". Two
 * of them mean something only where a flag of the request asked for it.
 */
static uint32_t to_wire_error(const struct request *request, int error)
{
    bool is_unfragmented = request->type == NBD_CMD_READ && request->flags & NBD_CMD_FLAG_DF;
    bool is_fast_zero =
        request->type == NBD_CMD_WRITE_ZEROES && request->flags & NBD_CMD_FLAG_FAST_ZERO;

    switch (error) {
    case EROFS:
    case EPERM:
        return NBD_EPERM;
    case ENOMEM:
        return NBD_ENOMEM;
    case EINVAL:
        return NBD_EINVAL;
    case EDQUOT:
    case EFBIG:
    case ENOSPC:
        return NBD_ENOSPC;
    case EOVERFLOW:
        return is_unfragmented ? NBD_EOVERFLOW : NBD_EINVAL;
    case EOPNOTSUPP:
#if ENOTSUP != EOPNOTSUPP
    case ENOTSUP:
#endif
        return is_fast_zero ? NBD_ENOTSUP : NBD_EINVAL;
    case ESHUTDOWN:
        return NBD_ESHUTDOWN;
    default:
        return NBD_EIO;
    }
}

static void report(const struct request *request, int error)
{
    DEBUG_LOG(DEBUG_DATAPATH, "%s, flags 0x%x, %" PRIu64 " bytes at %" PRIu64 ": %s",
              request_get_name(request), request->flags, request->count, request->offset,
              error ? strerrordesc_np(error) : "ok");
}

static void send_reply(struct conn *conn, const struct request *request, struct iovec *vectors,
                       int count)
{
    if (request->outbox)
        outbox_append(request->outbox, vectors, count);
    else
        conn_send(conn, vectors, count);
}

static void send_simple(struct conn *conn, const struct request *request, int error,
                        struct iovec data)
{
    struct wire_simple_reply reply = {
        .magic = htobe32(WIRE_SIMPLE_REPLY_MAGIC),
        .error = htobe32(error ? to_wire_error(request, error) : 0),
        .cookie = request->cookie,
    };
    struct iovec vectors[] = { { &reply, sizeof reply }, data };

    send_reply(conn, request, vectors, 2);
}

/* Room for the header of a chunk, in either layout. */
union header {
    struct wire_chunk structured;
    struct wire_extended_chunk extended;
};

static struct iovec make_header(const struct conn *conn, const struct request *request,
                                union header *header, uint16_t type, uint16_t flags, size_t length)
{
    if (!conn->has_extended_headers) {
        header->structured = (struct wire_chunk){
            .magic = htobe32(WIRE_STRUCTURED_REPLY_MAGIC),
            .flags = htobe16(flags),
            .type = htobe16(type),
            .cookie = request->cookie,
            .length = htobe32((uint32_t)length),
        };
        return (struct iovec){ &header->structured, sizeof header->structured };
    }
    header->extended = (struct wire_extended_chunk){
        .magic = htobe32(WIRE_EXTENDED_REPLY_MAGIC),
        .flags = htobe16(flags),
        .type = htobe16(type),
        .cookie = request->cookie,
        .offset = htobe64(request->offset),
        .length = htobe64(length),
    };
    return (struct iovec){ &header->extended, sizeof header->extended };
}

/* Sends the only chunk of a reply: `head`, then `data`. */
static void send_chunk(struct conn *conn, const struct request *request, uint16_t type,
                       struct iovec head, struct iovec data)
{
    union header header;
    struct iovec vectors[] = {
        make_header(conn, request, &header, type, NBD_REPLY_FLAG_DONE, head.iov_len + data.iov_len),
        head,
        data,
    };

    send_reply(conn, request, vectors, 3);
}

void reply_done(struct conn *conn, const struct request *request)
{
    report(request, 0);
    /* The shorter one, where both are allowed. */
    if (conn->has_extended_headers)
        send_chunk(conn, request, NBD_REPLY_TYPE_NONE, nothing, nothing);
    else
        send_simple(conn, request, 0, nothing);
}

void reply_error(struct conn *conn, const struct request *request, int error, const char *text)
{
    char message[WIRE_STRING_MAX + 1];
    struct {
        uint32_t error;
        uint16_t message_length;
    } __attribute__((__packed__)) head = { .error = htobe32(to_wire_error(request, error)) };

    report(request, error);
    if (!conn->has_structured_replies) {
        send_simple(conn, request, error, nothing);
        return;
    }
    size_t length = utf8_clean(message, sizeof message, text);
    head.message_length = htobe16((uint16_t)length);
    send_chunk(conn, request, NBD_REPLY_TYPE_ERROR, (struct iovec){ &head, sizeof head },
               (struct iovec){ message, length });
}

void reply_data(struct conn *conn, const struct request *request, void *data)
{
    uint64_t offset = htobe64(request->offset);
    struct iovec vector = { data, request->count };

    report(request, 0);
    if (conn->has_structured_replies)
        send_chunk(conn, request, NBD_REPLY_TYPE_OFFSET_DATA,
                   (struct iovec){ &offset, sizeof offset }, vector);
    else
        send_simple(conn, request, 0, vector);
}

/* Room for one chunk of a read, but for its data. */
struct piece_head {
    union header header;
    struct {
        uint64_t offset;
        uint32_t hole_size;
    } __attribute__((__packed__)) body;
};

/* Puts the vectors of one chunk together; three of them. */
static void make_piece(const struct conn *conn, const struct request *request,
                       const struct sparse_piece *piece, uint16_t flags, struct piece_head *head,
                       struct iovec *vectors)
{
    bool is_hole = piece->is_hole;
    size_t body_length = is_hole ? sizeof head->body : sizeof head->body.offset;
    size_t data_length = is_hole ? 0 : piece->length;

    head->body.offset = htobe64(piece->offset);
    head->body.hole_size = htobe32(piece->length);
    vectors[0] = make_header(conn, request, &head->header,
                             is_hole ? NBD_REPLY_TYPE_OFFSET_HOLE : NBD_REPLY_TYPE_OFFSET_DATA,
                             flags, body_length + data_length);
    vectors[1] = (struct iovec){ &head->body, body_length };
    vectors[2].iov_len = data_length;
}

void reply_pieces(struct conn *conn, const struct request *request,
                  const struct sparse_piece *pieces, size_t count, char *data)
{
    struct piece_head heads[SPARSE_PIECES_MAX];
    struct iovec vectors[3 * SPARSE_PIECES_MAX];

    report(request, 0);
    for (size_t i = 0; i < count; i++) {
        uint16_t flags = i + 1 == count ? NBD_REPLY_FLAG_DONE : 0;
        make_piece(conn, request, &pieces[i], flags, &heads[i], vectors + 3 * i);
        vectors[3 * i + 2].iov_base = data + (pieces[i].offset - request->offset);
    }
    send_reply(conn, request, vectors, (int)(3 * count));
}

/* More would not be a multiple of every minimum block size, nor of 512. */
#define EXTENT_MAX_BYTES (UINT32_MAX - 65535)

/* What goes on behind the request is cut to 32 bits, never what the client asked for. */
static uint32_t fit_length(const struct request *request, const struct extent *extent)
{
    uint64_t wanted = request->offset + request->count - extent->offset;

    if (extent->length <= EXTENT_MAX_BYTES)
        return (uint32_t)extent->length;
    if (wanted <= EXTENT_MAX_BYTES)
        return EXTENT_MAX_BYTES;
    return (uint32_t)(wanted < extent->length ? wanted : extent->length);
}

static void send_extents(struct conn *conn, const struct request *request,
                         const struct extent *list, struct wire_extent *wire, size_t count)
{
    uint32_t context_id = htobe32(WIRE_CONTEXT_ID);

    for (size_t i = 0; i < count; i++) {
        wire[i].length = htobe32(fit_length(request, &list[i]));
        wire[i].flags = htobe32(list[i].type);
    }
    send_chunk(conn, request, NBD_REPLY_TYPE_BLOCK_STATUS,
               (struct iovec){ &context_id, sizeof context_id },
               (struct iovec){ wire, count * sizeof *wire });
}

static void send_extended_extents(struct conn *conn, const struct request *request,
                                  const struct extent *list, struct wire_extended_extent *wire,
                                  size_t count)
{
    struct {
        uint32_t context_id;
        uint32_t count;
    } __attribute__((__packed__)) head = { htobe32(WIRE_CONTEXT_ID), htobe32((uint32_t)count) };

    for (size_t i = 0; i < count; i++) {
        wire[i].length = htobe64(list[i].length);
        wire[i].padding = 0;
        wire[i].flags = htobe32(list[i].type);
    }
    send_chunk(conn, request, NBD_REPLY_TYPE_BLOCK_STATUS_EXT, (struct iovec){ &head, sizeof head },
               (struct iovec){ wire, count * sizeof *wire });
}

void reply_extents(struct conn *conn, const struct request *request,
                   const struct nbdkit_extents *extents)
{
    size_t count;
    const struct extent *list = extents_get(extents, &count);

    if (request->flags & NBD_CMD_FLAG_REQ_ONE)
        count = 1;
    CLEANUP_FREE void *wire =
        calloc(count, conn->has_extended_headers ? sizeof(struct wire_extended_extent)
                                                 : sizeof(struct wire_extent));
    if (!wire) {
        reply_error(conn, request, ENOMEM, "the server has no memory for the extents");
        return;
    }
    report(request, 0);
    if (conn->has_extended_headers)
        send_extended_extents(conn, request, list, wire, count);
    else
        send_extents(conn, request, list, wire, count);
}
