// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns requests and replies. Entered by every thread of a session; calls io,
 * conn and transport.
 */
#include "protocol.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "conn.h"
#include "debug_flags.h"
#include "export.h"
#include "extents.h"
#include "io.h"
#include "log.h"
#include "transport.h"
#include "wire.h"

#define COMMAND_COUNT (NBD_CMD_BLOCK_STATUS + 1)

static const struct command {
    const char *name;
    uint16_t flags; /* valid besides FUA, which is valid for all: "Command flags" */
    bool is_write;  /* EPERM on a read-only export */
    bool has_range;
    bool has_data;  /* limited to EXPORT_PAYLOAD_MAX bytes */
    int beyond_end; /* errno for a range beyond the end: "Error values" */
} commands[] = {
    [NBD_CMD_READ] = { "read", NBD_CMD_FLAG_DF, .has_range = true, .has_data = true,
                       .beyond_end = EINVAL },
    [NBD_CMD_WRITE] = { "write", 0, .is_write = true, .has_range = true, .has_data = true,
                        .beyond_end = ENOSPC },
    [NBD_CMD_DISC] = { "disconnect", 0, .has_range = false },
    [NBD_CMD_FLUSH] = { "flush", 0, .has_range = false },
    [NBD_CMD_TRIM] = { "trim", 0, .is_write = true, .has_range = true, .beyond_end = EINVAL },
    [NBD_CMD_CACHE] = { "cache", 0, .has_range = true, .beyond_end = EINVAL },
    [NBD_CMD_WRITE_ZEROES] = { "write zeroes", NBD_CMD_FLAG_NO_HOLE | NBD_CMD_FLAG_FAST_ZERO,
                               .is_write = true, .has_range = true, .beyond_end = ENOSPC },
    [NBD_CMD_BLOCK_STATUS] = { "block status", NBD_CMD_FLAG_REQ_ONE, .has_range = true,
                               .beyond_end = EINVAL },
};
_Static_assert(sizeof commands / sizeof commands[0] == COMMAND_COUNT, "a row for each command");

static const char *get_name(const struct request *request)
{
    return request->type < COMMAND_COUNT ? commands[request->type].name : "unknown command";
}

static bool has_meta_context(const struct conn *conn)
{
    return conn->meta_export && strcmp(conn->meta_export, conn->export.requested_name) == 0;
}

/* Was the command offered by a transmission flag, or in the handshake? */
static bool is_offered(const struct conn *conn, uint16_t type)
{
    switch (type) {
    case NBD_CMD_FLUSH:
        return conn->export.can_flush;
    case NBD_CMD_TRIM:
        return conn->export.can_trim;
    case NBD_CMD_CACHE:
        return conn->export.can_cache != 0;
    case NBD_CMD_BLOCK_STATUS:
        return has_meta_context(conn);
    default:
        return true;
    }
}

static bool has_valid_flags(const struct conn *conn, const struct request *request)
{
    unsigned valid = commands[request->type].flags;

    if (conn->export.can_fua)
        valid |= NBD_CMD_FLAG_FUA;
    if (!conn->has_structured_replies)
        valid &= ~(unsigned)NBD_CMD_FLAG_DF;
    if (!conn->export.can_fast_zero)
        valid &= ~(unsigned)NBD_CMD_FLAG_FAST_ZERO;
    return (request->flags & ~valid) == 0;
}

/* The block sizes that the plugin named bind the client: "Block size constraints". */
static bool has_valid_block_size(const struct conn *conn, const struct request *request)
{
    const struct conn_export *export = &conn->export;

    if (export->block_minimum == 0)
        return true;
    if (commands[request->type].has_data && request->count > export->block_maximum)
        return false;
    bool is_at_end = request->offset + request->count == export->size_bytes;
    return request->offset % export->block_minimum == 0 &&
           (request->count % export->block_minimum == 0 || is_at_end);
}

static int check_range(const struct conn *conn, const struct request *request)
{
    const struct command *command = &commands[request->type];
    uint64_t size = conn->export.size_bytes;

    if (!command->has_range)
        return request->offset || request->count ? EINVAL : 0;
    if (request->count == 0)
        return EINVAL;
    if (request->offset > size || request->count > size - request->offset)
        return command->beyond_end;
    if (command->has_data && request->count > EXPORT_PAYLOAD_MAX)
        return request->flags & NBD_CMD_FLAG_DF ? EOVERFLOW : EINVAL;
    return has_valid_block_size(conn, request) ? 0 : EINVAL;
}

static int check_request(struct conn *conn, const struct request *request)
{
    if (conn_get_state(conn) != CONN_ACTIVE)
        return ESHUTDOWN;
    if (request->type >= COMMAND_COUNT || !has_valid_flags(conn, request))
        return EINVAL;
    if (commands[request->type].is_write && !conn->export.can_write)
        return EPERM;
    if (!is_offered(conn, request->type))
        return EINVAL;
    return check_range(conn, request);
}

/* The payload of a write that is refused is read all the same, and dropped. */
static int read_payload(struct conn *conn, struct request *request)
{
    if (!request->error) {
        request->payload = malloc(request->count);
        if (!request->payload)
            request->error = ENOMEM;
    }
    if (request->count == 0)
        return 1;
    return request->payload ? transport_recv(conn->transport, request->payload, request->count)
                            : transport_skip(conn->transport, request->count);
}

/* The stream ended or broke while it was read. */
static int end_of_input(struct conn *conn, int got, bool is_between_requests)
{
    conn_note_client_gone(conn);
    if (got == 0 && is_between_requests)
        return 0;
    /* Where the server itself is closing, replies to other requests still go out. */
    if (conn_get_state(conn) < CONN_CLOSING) {
        log_debug("the client left in the middle of a request");
        conn_advance(conn, CONN_DEAD);
    }
    return -1;
}

int protocol_read_request(struct conn *conn, struct request *request)
{
    struct wire_request wire;
    int got = transport_recv(conn->transport, &wire, sizeof wire);

    if (got <= 0)
        return end_of_input(conn, got, true);
    if (wire.magic != htobe32(WIRE_REQUEST_MAGIC)) {
        log_error("the client sent something that is not an NBD request, closing the connection");
        conn_advance(conn, CONN_DEAD);
        return -1;
    }
    *request = (struct request){
        .flags = be16toh(wire.flags),
        .type = be16toh(wire.type),
        .cookie = wire.cookie,
        .offset = be64toh(wire.offset),
        .count = be32toh(wire.count),
    };
    if (request->type == NBD_CMD_DISC)
        return 0;
    request->error = check_request(conn, request);
    got = request->type == NBD_CMD_WRITE ? read_payload(conn, request) : 1;
    if (got > 0)
        return 1;
    free(request->payload);
    return end_of_input(conn, got, false);
}

/* Maps errno to the error values of the protocol: section "Error values". */
static uint32_t to_wire_error(int error)
{
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
        return NBD_EOVERFLOW;
    case EOPNOTSUPP:
#if ENOTSUP != EOPNOTSUPP
    case ENOTSUP:
#endif
        return NBD_ENOTSUP;
    case ESHUTDOWN:
        return NBD_ESHUTDOWN;
    default:
        return NBD_EIO;
    }
}

static void send_simple(struct conn *conn, const struct request *request, int error,
                        struct iovec data)
{
    struct wire_simple_reply reply = {
        .magic = htobe32(WIRE_SIMPLE_REPLY_MAGIC),
        .error = htobe32(error ? to_wire_error(error) : 0),
        .cookie = request->cookie,
    };
    struct iovec vectors[] = { { &reply, sizeof reply }, data };

    conn_send(conn, vectors, 2);
}

/* Sends the only chunk of a structured reply: `head`, then `data`. */
static void send_chunk(struct conn *conn, const struct request *request, uint16_t type,
                       struct iovec head, struct iovec data)
{
    struct wire_chunk chunk = {
        .magic = htobe32(WIRE_STRUCTURED_REPLY_MAGIC),
        .flags = htobe16(NBD_REPLY_FLAG_DONE),
        .type = htobe16(type),
        .cookie = request->cookie,
        .length = htobe32((uint32_t)(head.iov_len + data.iov_len)),
    };
    struct iovec vectors[] = { { &chunk, sizeof chunk }, head, data };

    conn_send(conn, vectors, 3);
}

static void send_error_chunk(struct conn *conn, const struct request *request, int error)
{
    struct {
        uint32_t error;
        uint16_t message_length;
    } __attribute__((__packed__)) head = { .error = htobe32(to_wire_error(error)) };

    send_chunk(conn, request, NBD_REPLY_TYPE_ERROR, (struct iovec){ &head, sizeof head },
               (struct iovec){ NULL, 0 });
}

static void report(const struct request *request, int error)
{
    DEBUG_LOG(DEBUG_DATAPATH, "%s, flags 0x%x, %" PRIu32 " bytes at %" PRIu64 ": %s",
              get_name(request), request->flags, request->count, request->offset,
              error ? strerrordesc_np(error) : "ok");
}

/* Replies to a request that has no data to send. */
static void reply_plain(struct conn *conn, const struct request *request, int error)
{
    report(request, error);
    if (error && conn->has_structured_replies)
        send_error_chunk(conn, request, error);
    else
        send_simple(conn, request, error, (struct iovec){ NULL, 0 });
}

static void answer_read(struct conn *conn, const struct request *request)
{
    struct io_range range = { request->offset, request->count };
    CLEANUP_FREE void *buffer = malloc(request->count);
    int error = buffer ? io_read(conn, range, buffer) : ENOMEM;
    uint64_t offset = htobe64(request->offset);

    if (error) {
        reply_plain(conn, request, error);
        return;
    }
    report(request, 0);
    if (conn->has_structured_replies)
        send_chunk(conn, request, NBD_REPLY_TYPE_OFFSET_DATA,
                   (struct iovec){ &offset, sizeof offset },
                   (struct iovec){ buffer, request->count });
    else
        send_simple(conn, request, 0, (struct iovec){ buffer, request->count });
}

static void send_extents(struct conn *conn, const struct request *request,
                         const struct nbdkit_extents *extents)
{
    size_t count;
    const struct extent *list = extents_get(extents, &count);
    uint32_t context_id = 0;

    if (request->flags & NBD_CMD_FLAG_REQ_ONE)
        count = 1;
    CLEANUP_FREE struct wire_extent *wire = calloc(count, sizeof *wire);
    if (!wire) {
        reply_plain(conn, request, ENOMEM);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        wire[i].length = htobe32((uint32_t)list[i].length);
        wire[i].flags = htobe32(list[i].type);
    }
    report(request, 0);
    send_chunk(conn, request, NBD_REPLY_TYPE_BLOCK_STATUS,
               (struct iovec){ &context_id, sizeof context_id },
               (struct iovec){ wire, count * sizeof *wire });
}

static void answer_block_status(struct conn *conn, const struct request *request)
{
    struct io_range range = { request->offset, request->count };
    struct nbdkit_extents *extents = extents_new(range.offset, range.offset + range.count);
    int error = ENOMEM;

    if (extents)
        error = io_extents(conn, range, request->flags & NBD_CMD_FLAG_REQ_ONE, extents);
    if (error)
        reply_plain(conn, request, error);
    else
        send_extents(conn, request, extents);
    nbdkit_extents_free(extents);
}

static int answer_zero(struct conn *conn, const struct request *request)
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
        return answer_zero(conn, request);
    }
}

void protocol_answer(struct conn *conn, struct request *request)
{
    if (request->error)
        reply_plain(conn, request, request->error);
    else if (request->type == NBD_CMD_READ)
        answer_read(conn, request);
    else if (request->type == NBD_CMD_BLOCK_STATUS)
        answer_block_status(conn, request);
    else
        reply_plain(conn, request, do_plain(conn, request));
    free(request->payload);
    request->payload = NULL;
}
