// SPDX-License-Identifier: BSD-3-Clause
/*
 * Reads requests and decides which of them the plugin gets. Entered by the
 * thread of a session whose turn it is to read; calls export, conn and
 * transport.
 */
#include "request.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conn.h"
#include "export.h"
#include "extents.h"
#include "io.h"
#include "log.h"
#define NBDKIT_API_VERSION 2
#include "nbdkit-plugin.h"
#include "transport.h"
#include "wire.h"

/* How long to wait for a payload that was not announced. */
enum { PAYLOAD_WAIT_MS = 2000 };

#define COMMAND_COUNT (NBD_CMD_BLOCK_STATUS + 1)

static const struct command {
    const char *name;
    uint16_t flags; /* valid besides FUA, which is valid for all: "Command flags" */
    bool is_write;  /* EPERM on a read-only export */
    bool has_range;
    bool has_data;  /* limited to the export's payload_max */
    int beyond_end; /* errno for a range beyond the end: "Error values" */
} commands[] = {
    [NBD_CMD_READ] = { "read", NBD_CMD_FLAG_DF, .has_range = true, .has_data = true,
                       .beyond_end = EINVAL },
    [NBD_CMD_WRITE] = { "write", NBD_CMD_FLAG_PAYLOAD_LEN, .is_write = true, .has_range = true,
                        .has_data = true, .beyond_end = ENOSPC },
    [NBD_CMD_DISC] = { "disconnect", 0, .has_range = false },
    [NBD_CMD_FLUSH] = { "flush", 0, .has_range = false },
    [NBD_CMD_TRIM] = { "trim", 0, .is_write = true, .has_range = true, .beyond_end = EINVAL },
    [NBD_CMD_CACHE] = { "cache", 0, .has_range = true, .beyond_end = EINVAL },
    [NBD_CMD_WRITE_ZEROES] = { "write zeroes", NBD_CMD_FLAG_NO_HOLE | NBD_CMD_FLAG_FAST_ZERO,
                               .is_write = true, .has_range = true, .beyond_end = ENOSPC },
    [NBD_CMD_BLOCK_STATUS] = { "block status", NBD_CMD_FLAG_REQ_ONE | NBD_CMD_FLAG_PAYLOAD_LEN,
                               .has_range = true, .beyond_end = EINVAL },
};
_Static_assert(sizeof commands / sizeof commands[0] == COMMAND_COUNT, "a row for each command");

const char *request_get_name(const struct request *request)
{
    return request->type < COMMAND_COUNT ? commands[request->type].name : "unknown command";
}

/* Notes for the client why the request is refused with `error`, and returns that. */
static int __attribute__((__format__(__printf__, 3, 4)))
refuse(struct request *request, int error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(request->text, sizeof request->text, format, args);
    va_end(args);
    return error;
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
        return conn_has_meta_context(conn);
    default:
        return true;
    }
}

static unsigned find_invalid_flags(const struct conn *conn, const struct request *request)
{
    unsigned valid = commands[request->type].flags;

    if (conn->export.can_fua)
        valid |= NBD_CMD_FLAG_FUA;
    if (!conn->has_structured_replies)
        valid &= ~(unsigned)NBD_CMD_FLAG_DF;
    if (!conn->export.can_fast_zero)
        valid &= ~(unsigned)NBD_CMD_FLAG_FAST_ZERO;
    if (!conn->has_extended_headers)
        valid &= ~(unsigned)NBD_CMD_FLAG_PAYLOAD_LEN;
    return request->flags & ~valid;
}

/* What can be said before it is known which range the request is about. */
static int check_command(struct conn *conn, struct request *request)
{
    if (conn_get_state(conn) != CONN_ACTIVE)
        return refuse(request, ESHUTDOWN, "the server is ending this connection");
    if (request->type >= COMMAND_COUNT)
        return refuse(request, EINVAL, "command %u is unknown to this server", request->type);
    /* Before the flags: this says more than that one of them was not offered. */
    if (commands[request->type].is_write && !conn->export.can_write)
        return refuse(request, EPERM, "the export is read-only");
    unsigned invalid = find_invalid_flags(conn, request);
    if (invalid)
        return refuse(request, EINVAL, "command flags 0x%x are not valid for %s on this connection",
                      invalid, request_get_name(request));
    if (is_offered(conn, request->type))
        return 0;
    return refuse(request, EINVAL,
                  request->type == NBD_CMD_BLOCK_STATUS
                      ? "%s: no metadata context was selected for this export"
                      : "%s is not supported by this export",
                  request_get_name(request));
}

/* The block size that the plugin named binds the client: "Block size constraints". */
static bool is_aligned(const struct conn *conn, const struct request *request)
{
    const struct conn_export *export = &conn->export;

    if (export->block_minimum == 0)
        return true;
    bool is_at_end = request->offset + request->count == export->size_bytes;
    return request->offset % export->block_minimum == 0 &&
           (request->count % export->block_minimum == 0 || is_at_end);
}

static int check_range(const struct conn *conn, struct request *request)
{
    const struct command *command = &commands[request->type];
    uint64_t size = conn->export.size_bytes;

    if (!command->has_range)
        return request->offset || request->count
                   ? refuse(request, EINVAL, "a %s has no offset and no length", command->name)
                   : 0;
    if (request->count == 0)
        return refuse(request, EINVAL, "the length of the %s is 0", command->name);
    if (request->offset > size || request->count > size - request->offset)
        return refuse(request, command->beyond_end,
                      "the range ends beyond the export's %" PRIu64 " byte%s", size,
                      size == 1 ? "" : "s");
    if (command->has_data && request->count > conn->export.payload_max)
        return refuse(request, request->flags & NBD_CMD_FLAG_DF ? EOVERFLOW : EINVAL,
                      "a %s of %" PRIu64 " bytes is longer than the maximum of %" PRIu32,
                      command->name, request->count, conn->export.payload_max);
    if (!is_aligned(conn, request))
        return refuse(request, EINVAL,
                      "offset and length are not multiples of %" PRIu32
                      ", the export's minimum block size",
                      conn->export.block_minimum);
    return 0;
}

/* Reads up to `length` bytes of the request's payload. Returns as transport_recv(). */
static int read_part(struct conn *conn, struct request *request, void *buffer, uint64_t length)
{
    if (length > request->payload_left)
        length = request->payload_left;
    request->payload_left -= length;
    return conn_receive(conn, buffer, length);
}

/* The range of a block status with a payload is in there: NBD_FLAG_BLOCK_STATUS_PAYLOAD. */
static int read_filter(struct conn *conn, struct request *request)
{
    struct wire_filter filter = { 0 };

    if (request->payload_left != sizeof filter) {
        request->error = refuse(request, EINVAL,
                                "the payload of a block status is a length and the ID of each "
                                "context that is wanted, once; there is one context");
        return 1;
    }
    int got = read_part(conn, request, &filter, sizeof filter);
    if (be32toh(filter.context_id) != WIRE_CONTEXT_ID)
        request->error = refuse(request, EINVAL, "metadata context %" PRIu32 " was not selected",
                                be32toh(filter.context_id));
    request->count = be64toh(filter.length);
    return got;
}

/* Will zeroes be written for want of a better way, as far as is known? */
static bool must_write_zeroes(const struct conn *conn)
{
    return !conn->export.can_zero ||
           atomic_load_explicit(&conn->has_zero_failed, memory_order_relaxed);
}

/* Bytes that the request will hold until it is answered. */
static uint64_t find_memory(const struct conn *conn, const struct request *request)
{
    uint64_t extents = request->count < EXTENTS_MAX ? request->count : EXTENTS_MAX;

    switch (request->type) {
    case NBD_CMD_READ:
    case NBD_CMD_WRITE:
        return request->count;
    case NBD_CMD_BLOCK_STATUS:
        return extents * (sizeof(struct extent) + sizeof(struct wire_extended_extent));
    case NBD_CMD_CACHE:
        return conn->export.can_cache == NBDKIT_CACHE_EMULATE
                   ? io_get_cache_step(conn, request->count)
                   : 0;
    case NBD_CMD_WRITE_ZEROES:
        return must_write_zeroes(conn) ? io_get_zero_step(conn, request->count) : 0;
    default:
        return 0;
    }
}

static bool is_small_transfer(const struct request *request)
{
    return (request->type == NBD_CMD_READ || request->type == NBD_CMD_WRITE ||
            request->type == NBD_CMD_WRITE_ZEROES) &&
           request->count <= REQUEST_SMALL_BYTES;
}

/* Waits until there is memory for the request. Returns 0 or an errno value. */
static int reserve_memory(struct conn *conn, struct request *request)
{
    uint64_t bytes = find_memory(conn, request);

    if (budget_take(&conn->memory, bytes) < 0)
        return refuse(request, ESHUTDOWN, "the server is ending this connection");
    request->memory = bytes;
    return 0;
}

static int refuse_memory(struct request *request)
{
    return refuse(request, ENOMEM, "the server has no memory for %" PRIu64 " bytes",
                  request->count);
}

/* Reads a payload to memory of its own, or leaves a small one where it was read ahead. */
static int read_data(struct conn *conn, struct request *request)
{
    if (request->is_small) {
        request->payload_left = 0;
        return transport_borrow(conn->transport, &request->payload, request->count);
    }
    request->payload = spares_take(&conn->spares, request->count);
    if (request->payload)
        return read_part(conn, request, request->payload, request->count);
    request->error = refuse_memory(request);
    return 1;
}

/* Checks the request and reads its payload; what of it nobody wants is dropped. */
static int read_body(struct conn *conn, struct request *request)
{
    int got = 1;

    request->error = check_command(conn, request);
    if (!request->error && request->type == NBD_CMD_BLOCK_STATUS &&
        request->flags & NBD_CMD_FLAG_PAYLOAD_LEN)
        got = read_filter(conn, request);
    if (!request->error)
        request->error = check_range(conn, request);
    request->is_small = find_memory(conn, request) == 0 || is_small_transfer(request);
    if (!request->error && !request->is_small)
        request->error = reserve_memory(conn, request);
    if (!request->error && request->type == NBD_CMD_WRITE)
        got = read_data(conn, request);
    if (got > 0 && request->payload_left > 0)
        got = transport_skip(conn->transport, request->payload_left);
    return got;
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

static void unpack_header(const struct conn *conn, const struct wire_request *wire,
                          struct request *request)
{
    *request = (struct request){
        .flags = be16toh(wire->flags),
        .type = be16toh(wire->type),
        .cookie = wire->cookie,
        .offset = be64toh(wire->offset),
        .count = conn->has_extended_headers ? be64toh(wire->length.extended)
                                            : be32toh(wire->length.compact),
    };
    bool has_payload = request->type == NBD_CMD_WRITE ||
                       (conn->has_extended_headers && request->flags & NBD_CMD_FLAG_PAYLOAD_LEN);
    request->payload_left = has_payload ? request->count : 0;
}

/* A payload that no server would take is not worth reading: "Request message". */
static bool is_payload_bearable(const struct conn *conn, const struct request *request)
{
    return !conn->has_extended_headers || request->payload_left <= conn->export.payload_max;
}

/*
 * A write with extended headers MUST say that it has a payload. But qemu 10
 * sends one without a word, and to take it for a request would let the data
 * command the server: only a client that then waits has sent none.
 */
static bool lacks_payload(struct conn *conn, struct request *request)
{
    if (!conn->has_extended_headers || request->type != NBD_CMD_WRITE ||
        request->flags & NBD_CMD_FLAG_PAYLOAD_LEN ||
        !transport_is_silent(conn->transport, PAYLOAD_WAIT_MS))
        return false;
    request->payload_left = 0;
    request->error =
        refuse(request, EINVAL, "a write with extended headers needs NBD_CMD_FLAG_PAYLOAD_LEN");
    return true;
}

static int end_by_violation(struct conn *conn, const char *what)
{
    log_error("the client sent %s, closing the connection", what);
    conn_advance(conn, CONN_DEAD);
    return -1;
}

/* Reads a header in the layout that was negotiated. Returns as request_read(). */
static int read_header(struct conn *conn, struct wire_request *wire)
{
    bool is_extended = conn->has_extended_headers;
    int got = transport_recv(conn->transport, wire, WIRE_COMPACT_REQUEST_BYTES);

    if (got <= 0)
        return end_of_input(conn, got, true);
    if (wire->magic != htobe32(is_extended ? WIRE_EXTENDED_REQUEST_MAGIC : WIRE_REQUEST_MAGIC))
        return end_by_violation(conn, "something that is not an NBD request");
    if (is_extended)
        got = transport_recv(conn->transport, (char *)wire + WIRE_COMPACT_REQUEST_BYTES,
                             WIRE_EXTENDED_REQUEST_BYTES - WIRE_COMPACT_REQUEST_BYTES);
    return got > 0 ? 1 : end_of_input(conn, got, false);
}

/* Is a header with such a payload all that has to be read? */
static bool is_payload_at_hand(const struct conn *conn, const struct request *request,
                               size_t length)
{
    /* Without the flag, only silence tells whether there is one: lacks_payload(). */
    bool is_certain = !conn->has_extended_headers || request->type != NBD_CMD_WRITE ||
                      request->flags & NBD_CMD_FLAG_PAYLOAD_LEN;

    return is_certain && request->payload_left <= length;
}

bool request_is_at_hand(struct conn *conn)
{
    size_t header_length =
        conn->has_extended_headers ? WIRE_EXTENDED_REQUEST_BYTES : WIRE_COMPACT_REQUEST_BYTES;
    size_t length;
    const void *bytes = transport_peek(conn->transport, &length);
    struct wire_request wire;
    struct request request;

    if (length < header_length)
        return false;
    memcpy(&wire, bytes, header_length);
    unpack_header(conn, &wire, &request);
    if (!is_payload_at_hand(conn, &request, length - header_length))
        return false;
    return find_memory(conn, &request) == 0 || is_small_transfer(&request);
}

static int end_without_request(struct conn *conn, int got)
{
    end_of_input(conn, got, true);
    return -1;
}

int request_await(struct conn *conn)
{
    int got = transport_wait(conn->transport);

    if (got > 0)
        return 1;
    return got < 0 && errno == EAGAIN ? 0 : end_without_request(conn, got);
}

int request_read(struct conn *conn, struct request *request)
{
    struct wire_request wire;
    int got = read_header(conn, &wire);

    if (got <= 0)
        return got;
    unpack_header(conn, &wire, request);
    if (request->type == NBD_CMD_DISC)
        return 0;
    if (lacks_payload(conn, request))
        return 1;
    if (!is_payload_bearable(conn, request))
        return end_by_violation(conn, "the header of a payload that is larger than the maximum");
    got = read_body(conn, request);
    if (got > 0)
        return 1;
    request_release(conn, request);
    return end_of_input(conn, got, false);
}

void request_keep(struct conn *conn, struct request *request)
{
    if (!request->is_small)
        return;
    void *borrowed = request->payload;
    request->is_small = false;
    request->payload = NULL;
    if (!request->error)
        request->error = reserve_memory(conn, request);
    if (request->error || !borrowed)
        return;
    request->payload = spares_take(&conn->spares, request->count);
    if (request->payload)
        memcpy(request->payload, borrowed, request->count);
    else
        request->error = refuse_memory(request);
}

void request_release(struct conn *conn, struct request *request)
{
    if (request->is_small)
        return;
    budget_give(&conn->memory, request->memory);
    request->memory = 0;
    spares_give(&conn->spares, request->payload, request->count);
    request->payload = NULL;
}
