/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests that a map splits between files, zeroes, errors and the script. Owns
 * nothing; any thread of the server enters it. Calls map_table, fileio,
 * script_io and call.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "call.h"
#include "cleanup.h"
#include "connection.h"
#include "map.h"
#include "map_table.h"
#include "script_io.h"
#include "text.h"

#define NANOSECONDS_PER_SECOND 1000000000
#define NANOSECONDS_PER_MILLISECOND 1000000

/* What a part lacks is done in steps of this many bytes. */
#define STEP_BYTES (UINT32_C(1024) * 1024)

/* Calls of the script for one block status; what is left is for the client to ask again. */
#define EXTENTS_CALLS_MAX 64

/* Never written to; without const it takes no room in the file. */
static char zeroes[STEP_BYTES];

/* A part of a request that lies within one entry, or between two. */
struct part {
    uint64_t offset;
    uint32_t count;
    uint64_t limit; /* where the entry ends, or the next one begins: not before the part's end */
    const struct map_entry *entry; /* NULL if it is the script's */
};

struct request {
    const struct connection *connection;
    const char *verb; /* for messages */
    int (*do_part)(struct request *request, const struct part *part);
    char *buffer;     /* of a read; steps on */
    const char *data; /* of a write; steps on */
    uint32_t flags;   /* NBDKIT_FLAG_* */
    bool must_flush;  /* the script owes a flush, in place of the FUA that it cannot do */
    size_t entry;     /* where the map goes on */
    uint64_t offset;  /* the rest of the request */
    uint64_t end;
};

static enum map_kind get_kind(const struct part *part)
{
    return part->entry == NULL ? MAP_SCRIPT : part->entry->range.kind;
}

static void begin_request(struct request *request, uint32_t count, uint64_t offset)
{
    request->entry = map_find(request->connection->map, offset);
    request->offset = offset;
    request->end = offset + count;
}

/* Steps to the next part. Returns false at the end of the request. */
static bool next_part(struct request *request, struct part *part)
{
    const struct map *map = request->connection->map;
    const struct map_entry *entry =
        request->entry < map->count ? &map->entries[request->entry] : NULL;
    uint64_t limit = INT64_MAX;

    if (request->offset >= request->end)
        return false;
    bool is_inside = entry != NULL && entry->range.offset <= request->offset;
    if (entry != NULL)
        limit = entry->range.offset + (is_inside ? entry->range.length : 0);
    uint64_t end = limit < request->end ? limit : request->end;
    *part = (struct part){
        .offset = request->offset,
        .count = (uint32_t)(end - request->offset),
        .limit = limit,
        .entry = is_inside ? entry : NULL,
    };
    request->entry += is_inside;
    request->offset = end;
    return true;
}

static struct fileio *get_file(const struct part *part)
{
    return &part->entry->file->io;
}

static uint64_t get_file_offset(const struct part *part)
{
    const struct map_range *range = &part->entry->range;

    return part->offset - range->offset + range->file_offset;
}

/* Logs that the map has the request fail. Returns -1. */
static int fail_part(const struct request *request, const struct part *part, int error)
{
    const char *name = strerrorname_np(error);

    return call_fail("map", error,
                     "line %zu: a %s of %" PRIu32 " byte%s at offset %" PRIu64 " fails with %s",
                     part->entry->line, request->verb, part->count, TEXT_PLURAL(part->count),
                     part->offset, name == NULL ? "an error" : name);
}

static int wait_for_delay(const struct map_entry *entry)
{
    int64_t delay_ns = entry->range.delay_ns;

    if (delay_ns == 0)
        return 0;
    nbdkit_debug("map: line %zu: waiting for %.12g ms", entry->line,
                 (double)delay_ns / NANOSECONDS_PER_MILLISECOND);
    return nbdkit_nanosleep((unsigned)(delay_ns / NANOSECONDS_PER_SECOND),
                            (unsigned)(delay_ns % NANOSECONDS_PER_SECOND));
}

/* What is done before the data of a part is touched: to wait, to fail. Returns 0 or -1. */
static int enter_part(const struct request *request, const struct part *part)
{
    if (part->entry == NULL)
        return 0;
    if (wait_for_delay(part->entry) < 0)
        return -1;
    if (part->entry->range.kind != MAP_ERROR)
        return 0;
    fail_part(request, part, part->entry->range.error);
    call_apply_effect(part->entry->range.effect);
    return -1;
}

static int do_parts(struct request *request, uint32_t count, uint64_t offset)
{
    struct part part;

    begin_request(request, count, offset);
    while (next_part(request, &part))
        if (enter_part(request, &part) < 0 || request->do_part(request, &part) < 0)
            return -1;
    return request->must_flush ? script_flush(request->connection) : 0;
}

static bool has_flag(const struct request *request, uint32_t flag)
{
    return (request->flags & flag) != 0;
}

/* The flags for a part that is the script's. */
static uint32_t get_script_flags(struct request *request)
{
    const struct connection *connection = request->connection;

    if (!has_flag(request, NBDKIT_FLAG_FUA) || connection->can_fua == NBDKIT_FUA_NATIVE)
        return request->flags;
    request->must_flush = connection->can_fua == NBDKIT_FUA_EMULATE || connection->can_flush > 0;
    return request->flags & ~(uint32_t)NBDKIT_FLAG_FUA;
}

/* The bytes of a step, if so many are left. */
static uint32_t get_step(const struct request *request, uint32_t left)
{
    uint32_t step = request->connection->block_maximum;

    if (step == 0 || step > STEP_BYTES)
        step = STEP_BYTES;
    return left < step ? left : step;
}

/* Reading. */

static int read_part(struct request *request, const struct part *part)
{
    char *buffer = request->buffer;

    request->buffer += part->count;
    switch (get_kind(part)) {
    case MAP_FILE:
        return fileio_read_range(get_file(part), buffer, part->count, get_file_offset(part));
    case MAP_SCRIPT:
        return script_pread(request->connection, buffer, part->count, part->offset);
    case MAP_ZERO:
    case MAP_ERROR:
        break;
    }
    memset(buffer, 0, part->count);
    return 0;
}

int map_pread(const struct connection *connection, void *buffer, uint32_t count, uint64_t offset)
{
    struct request request = {
        .connection = connection, .verb = "read", .do_part = read_part, .buffer = buffer
    };

    return do_parts(&request, count, offset);
}

/* Writing. */

static int write_part(struct request *request, const struct part *part)
{
    const char *data = request->data;

    request->data += part->count;
    switch (get_kind(part)) {
    case MAP_FILE:
        return fileio_write_range(get_file(part), data, part->count, get_file_offset(part),
                                  has_flag(request, NBDKIT_FLAG_FUA));
    case MAP_SCRIPT:
        return script_pwrite(request->connection, data, part->count, part->offset,
                             get_script_flags(request) & NBDKIT_FLAG_FUA);
    case MAP_ZERO:
    case MAP_ERROR:
        break;
    }
    return fail_part(request, part, EPERM);
}

int map_pwrite(const struct connection *connection, const void *buffer, uint32_t count,
               uint64_t offset, uint32_t flags)
{
    struct request request = { .connection = connection,
                               .verb = "write",
                               .do_part = write_part,
                               .data = buffer,
                               .flags = flags };

    return do_parts(&request, count, offset);
}

/* Trimming. */

static int sync_part(const struct request *request, const struct part *part)
{
    return has_flag(request, NBDKIT_FLAG_FUA) ? fileio_flush_file(get_file(part)) : 0;
}

static int trim_part(struct request *request, const struct part *part)
{
    switch (get_kind(part)) {
    case MAP_FILE:
        if (fileio_trim_range(get_file(part), part->count, get_file_offset(part)) < 0)
            return -1;
        return sync_part(request, part);
    case MAP_SCRIPT:
        /* It is a hint: who cannot take it need not. */
        if (request->connection->can_trim <= 0)
            return 0;
        return script_trim(request->connection, part->count, part->offset,
                           get_script_flags(request));
    case MAP_ZERO:
    case MAP_ERROR:
        break;
    }
    return fail_part(request, part, EPERM);
}

int map_trim(const struct connection *connection, uint32_t count, uint64_t offset, uint32_t flags)
{
    struct request request = {
        .connection = connection, .verb = "trim", .do_part = trim_part, .flags = flags
    };

    return do_parts(&request, count, offset);
}

/* Zeroing. */

static bool is_unsupported(void)
{
    return errno == ENOTSUP || errno == EOPNOTSUPP;
}

/* Writes zeroes to a part that cannot be zeroed in any better way. */
static int write_zeroes(struct request *request, const struct part *part)
{
    struct part step = *part;

    nbdkit_set_error(0); /* it was the script's, for what it could not do */
    for (uint32_t left = part->count; left > 0; left -= step.count) {
        step.count = get_step(request, left);
        request->data = zeroes;
        if (write_part(request, &step) < 0)
            return -1;
        step.offset += step.count;
    }
    return 0;
}

static int zero_file(struct request *request, const struct part *part)
{
    bool is_fast = has_flag(request, NBDKIT_FLAG_FAST_ZERO);

    if (fileio_zero_range(get_file(part), part->count, get_file_offset(part),
                          has_flag(request, NBDKIT_FLAG_MAY_TRIM), is_fast) == 0)
        return sync_part(request, part);
    return is_unsupported() && !is_fast ? write_zeroes(request, part) : -1;
}

static int zero_by_script(struct request *request, const struct part *part)
{
    if (request->connection->can_zero > 0) {
        if (script_zero(request->connection, part->count, part->offset,
                        get_script_flags(request)) == 0)
            return 0;
        if (!is_unsupported() || has_flag(request, NBDKIT_FLAG_FAST_ZERO))
            return -1;
    }
    return write_zeroes(request, part);
}

static int zero_part(struct request *request, const struct part *part)
{
    switch (get_kind(part)) {
    case MAP_FILE:
        return zero_file(request, part);
    case MAP_SCRIPT:
        return zero_by_script(request, part);
    case MAP_ZERO:
    case MAP_ERROR:
        break;
    }
    return fail_part(request, part, EPERM);
}

/* May all parts be zeroed fast, as far as is known before one is tried? */
static bool may_zero_fast(struct request *request, uint32_t count, uint64_t offset)
{
    const struct connection *connection = request->connection;
    bool may_trim = has_flag(request, NBDKIT_FLAG_MAY_TRIM);
    struct part part;

    begin_request(request, count, offset);
    while (next_part(request, &part)) {
        if (get_kind(&part) == MAP_FILE && !fileio_may_zero_fast(get_file(&part), may_trim))
            return false;
        if (get_kind(&part) == MAP_SCRIPT &&
            (connection->can_zero <= 0 || connection->can_fast_zero <= 0))
            return false;
    }
    return true;
}

int map_zero(const struct connection *connection, uint32_t count, uint64_t offset, uint32_t flags)
{
    struct request request = {
        .connection = connection, .verb = "zero", .do_part = zero_part, .flags = flags
    };

    if (!has_flag(&request, NBDKIT_FLAG_FAST_ZERO) || may_zero_fast(&request, count, offset))
        return do_parts(&request, count, offset);
    nbdkit_set_error(ENOTSUP);
    return -1;
}

/* Caching. */

static int read_and_drop(const struct request *request, const struct part *part)
{
    CLEANUP_FREE char *buffer = malloc(get_step(request, part->count));
    uint64_t end = part->offset + part->count;
    uint32_t step;

    if (buffer == NULL)
        return call_fail("map", ENOMEM, "no memory");
    for (uint64_t offset = part->offset; offset < end; offset += step) {
        step = get_step(request, (uint32_t)(end - offset));
        if (script_pread(request->connection, buffer, step, offset) < 0)
            return -1;
    }
    return 0;
}

static int cache_part(struct request *request, const struct part *part)
{
    if (get_kind(part) == MAP_FILE)
        return fileio_cache_range(get_file(part), part->count, get_file_offset(part));
    if (get_kind(part) != MAP_SCRIPT || request->connection->can_cache == NBDKIT_CACHE_NONE)
        return 0;
    return request->connection->can_cache == NBDKIT_CACHE_EMULATE
               ? read_and_drop(request, part)
               : script_cache(request->connection, part->count, part->offset);
}

int map_cache(const struct connection *connection, uint32_t count, uint64_t offset)
{
    struct request request = { .connection = connection, .verb = "cache", .do_part = cache_part };

    return do_parts(&request, count, offset);
}

/* Flushing. */

int map_flush(const struct connection *connection)
{
    int error = 0;

    for (struct map_file *file = connection->map->files; file != NULL; file = file->next)
        if (fileio_flush_file(&file->io) < 0 && error == 0)
            error = errno;
    if (connection->can_flush > 0 && script_flush(connection) < 0 && error == 0)
        return -1;
    if (error == 0)
        return 0;
    nbdkit_set_error(error);
    return -1;
}

/* Extents. They touch nothing: no delay, no error. */

static int add_file_extents(const struct part *part, struct nbdkit_extents *extents, bool is_one)
{
    uint64_t end = part->offset + part->count, length;

    for (uint64_t offset = part->offset; offset < end; offset += length) {
        uint32_t type;

        if (fileio_find_extent(get_file(part), get_file_offset(part) + (offset - part->offset),
                               &length, &type) < 0)
            return -1;
        length = length < part->limit - offset ? length : part->limit - offset;
        if (nbdkit_add_extent(extents, offset, length, type) < 0)
            return -1;
        if (is_one)
            break;
    }
    return 0;
}

/* Adds those of a part. Returns 1, 0 if it is of no use to go on, or -1. */
static int add_extents(const struct request *request, const struct part *part,
                       struct nbdkit_extents *extents)
{
    const struct connection *connection = request->connection;
    bool is_one = has_flag(request, NBDKIT_FLAG_REQ_ONE);
    enum map_kind kind = get_kind(part);

    if (kind == MAP_FILE && part->entry->file->can_find_extents)
        return add_file_extents(part, extents, is_one) < 0 ? -1 : !is_one;
    if (kind == MAP_SCRIPT && connection->can_extents > 0) {
        struct script_stretch stretch = { part->offset, part->count, part->limit };
        int64_t told = script_extents(connection, stretch, request->flags, extents);
        return told < 0 ? -1 : told >= part->count && !is_one;
    }
    bool is_zero = kind == MAP_ZERO;
    uint32_t type = is_zero ? NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO : 0;
    uint64_t length = is_zero ? part->limit - part->offset : part->count;
    return nbdkit_add_extent(extents, part->offset, length, type) < 0 ? -1 : !is_one;
}

int map_extents(const struct connection *connection, uint32_t count, uint64_t offset,
                uint32_t flags, struct nbdkit_extents *extents)
{
    struct request request = { .connection = connection, .flags = flags };
    struct part part;
    int calls = 0;

    begin_request(&request, count, offset);
    while (next_part(&request, &part)) {
        if (get_kind(&part) == MAP_SCRIPT && connection->can_extents > 0 &&
            calls++ == EXTENTS_CALLS_MAX)
            break;
        int result = add_extents(&request, &part, extents);
        if (result <= 0)
            return result;
    }
    return 0;
}

bool map_has_files(const struct connection *connection)
{
    return connection->map != NULL && connection->map->files != NULL;
}

bool map_has_extents(const struct connection *connection)
{
    return connection->map != NULL &&
           (connection->map->files != NULL || connection->map->has_zeroes);
}
