/* SPDX-License-Identifier: BSD-3-Clause */

/* Takes the stream apart, simple replies and chunks; whatever a server may not do ends it all. */

#include "replies.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "fail.h"
#include "pattern.h"
#include "wire.h"

enum { BUFFER_BYTES = 256 << 10, ERROR_BYTES_MAX = 4096 + 14 };

void replies_init(struct replies *replies)
{
    replies->buffer = fail_calloc(1, BUFFER_BYTES);
}

void replies_free(struct replies *replies)
{
    free(replies->buffer);
}

static void fail_request(const struct slot *slot, const char *what, uint64_t number)
{
    fail("the server answered the %s at offset %" PRIu64 " with %s %" PRIu64,
         slot->is_write ? "write" : "read", slot->offset, what, number);
}

static struct slot *find_slot(struct replies *replies, uint64_t cookie)
{
    struct slot *slot = slots_find(replies->slots, be64toh(cookie));

    if (slot == NULL)
        fail("the server answered a request of cookie 0x%" PRIx64 ", and there is none",
             be64toh(cookie));
    return slot;
}

static void finish_slot(struct replies *replies, struct slot *slot)
{
    if (!slot->is_write && slot->got_bytes != replies->block_bytes)
        fail_request(slot, "no more bytes than", slot->got_bytes);
    replies->finish(replies->context, slot);
}

/* `bytes` of data are next in the stream, for this offset of the disk. */
static void expect_data(struct replies *replies, struct slot *slot, uint64_t offset, size_t bytes)
{
    uint64_t end = slot->offset + replies->block_bytes;

    if (slot->is_write || offset < slot->offset || offset > end || bytes > end - offset)
        fail_request(slot, "data that it did not ask for, bytes:", bytes);
    replies->slot = slot;
    replies->data_offset = offset;
    replies->data_bytes = bytes;
}

static void check_data(const struct replies *replies, const unsigned char *data, size_t bytes)
{
    size_t right = pattern_find_fault(data, bytes, replies->data_offset, replies->slot->version);

    if (right < bytes)
        fail("the server has wrong data at offset %" PRIu64 ": the byte is 0x%02x in the read of "
             "%" PRIu32 " bytes at %" PRIu64 ", which was written %" PRIu32 " times",
             replies->data_offset + right, data[right], replies->block_bytes, replies->slot->offset,
             replies->slot->version);
}

/* Takes what is there of the expected data; returns how many bytes that is. */
static size_t take_data(struct replies *replies, const unsigned char *data, size_t bytes)
{
    size_t count = bytes < replies->data_bytes ? bytes : replies->data_bytes;

    if (replies->must_verify)
        check_data(replies, data, count);
    replies->slot->got_bytes += (uint32_t)count;
    replies->data_bytes -= count;
    replies->data_offset += count;
    if (replies->data_bytes == 0) {
        struct slot *slot = replies->slot;

        replies->slot = NULL;
        if (replies->is_last)
            finish_slot(replies, slot);
    }
    return count;
}

/* Returns the bytes that were taken, 0 if the header is not all there. */
static size_t take_simple(struct replies *replies, const unsigned char *data, size_t bytes)
{
    struct wire_simple_reply reply;
    struct slot *slot;

    if (bytes < sizeof reply)
        return 0;
    memcpy(&reply, data, sizeof reply);
    if (be32toh(reply.magic) != WIRE_SIMPLE_REPLY_MAGIC)
        fail("the server sent 0x%08" PRIx32 " where a reply should begin", be32toh(reply.magic));
    slot = find_slot(replies, reply.cookie);
    if (reply.error != 0)
        fail_request(slot, "error", be32toh(reply.error));
    replies->is_last = true;
    if (slot->is_write)
        finish_slot(replies, slot);
    else
        expect_data(replies, slot, slot->offset, replies->block_bytes);
    return sizeof reply;
}

static void take_hole(struct replies *replies, struct slot *slot, const unsigned char *data)
{
    uint64_t offset;
    uint32_t length;

    memcpy(&offset, data, sizeof offset);
    memcpy(&length, data + sizeof offset, sizeof length);
    if (replies->must_verify)
        fail_request(slot, "a hole in what was written at", be64toh(offset));
    expect_data(replies, slot, be64toh(offset), be32toh(length));
    slot->got_bytes += be32toh(length);
    replies->slot = NULL;
}

static void take_error(const struct slot *slot, const unsigned char *data)
{
    uint32_t error;

    memcpy(&error, data, sizeof error);
    fail_request(slot, "error", be32toh(error));
}

/* Returns how many bytes of a chunk of this type come before its data; fails on other types. */
static size_t header_bytes_of(const struct wire_chunk *chunk, const struct slot *slot)
{
    uint16_t type = be16toh(chunk->type);
    uint32_t length = be32toh(chunk->length);

    if (type == NBD_REPLY_TYPE_NONE && length == 0)
        return sizeof *chunk;
    if (type == NBD_REPLY_TYPE_OFFSET_DATA && length > sizeof(uint64_t))
        return sizeof *chunk + sizeof(uint64_t);
    if (type == NBD_REPLY_TYPE_OFFSET_HOLE && length == sizeof(uint64_t) + sizeof(uint32_t))
        return sizeof *chunk + length;
    if (type == NBD_REPLY_TYPE_ERROR && length >= 6 && length <= ERROR_BYTES_MAX)
        return sizeof *chunk + length;
    fail_request(slot, "a chunk of a wrong length or type,", type);
    return 0;
}

static size_t take_chunk(struct replies *replies, const unsigned char *data, size_t bytes)
{
    struct wire_chunk chunk;
    struct slot *slot;
    size_t header_bytes;
    uint64_t offset;

    if (bytes < sizeof chunk)
        return 0;
    memcpy(&chunk, data, sizeof chunk);
    slot = find_slot(replies, chunk.cookie);
    header_bytes = header_bytes_of(&chunk, slot);
    if (bytes < header_bytes)
        return 0;
    data += sizeof chunk;
    replies->is_last = be16toh(chunk.flags) & NBD_REPLY_FLAG_DONE;
    switch (be16toh(chunk.type)) {
    case NBD_REPLY_TYPE_OFFSET_DATA:
        memcpy(&offset, data, sizeof offset);
        expect_data(replies, slot, be64toh(offset), be32toh(chunk.length) - sizeof offset);
        return header_bytes;
    case NBD_REPLY_TYPE_OFFSET_HOLE:
        take_hole(replies, slot, data);
        break;
    case NBD_REPLY_TYPE_ERROR:
        take_error(slot, data);
        break;
    }
    if (replies->is_last)
        finish_slot(replies, slot);
    return header_bytes;
}

/* The simple reply's magic number differs from the chunk's, and servers may send either. */
static size_t take_header(struct replies *replies, const unsigned char *data, size_t bytes)
{
    uint32_t magic;

    if (bytes < sizeof magic)
        return 0;
    memcpy(&magic, data, sizeof magic);
    if (replies->is_structured && be32toh(magic) == WIRE_STRUCTURED_REPLY_MAGIC)
        return take_chunk(replies, data, bytes);
    return take_simple(replies, data, bytes);
}

void replies_receive(struct replies *replies, int fd)
{
    ssize_t received = recv(fd, replies->buffer + replies->bytes, BUFFER_BYTES - replies->bytes, 0);

    if (received < 0)
        fail_errno("cannot receive from the server");
    if (received == 0)
        fail("the server closed the connection with %u requests unanswered",
             slots_count_busy(replies->slots));
    replies->bytes += (size_t)received;
}

void replies_take(struct replies *replies)
{
    unsigned char *next = replies->buffer;
    size_t bytes = replies->bytes, count;

    do {
        count = replies->slot != NULL ? take_data(replies, next, bytes)
                                      : take_header(replies, next, bytes);
        next += count;
        bytes -= count;
    } while (count > 0 && bytes > 0);
    memmove(replies->buffer, next, bytes);
    replies->bytes = bytes;
}
