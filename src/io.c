// SPDX-License-Identifier: BSD-3-Clause
/*
 * Calls the plugin's data callbacks and emulates those that are missing.
 * Entered by every thread of a session; calls plugin and its table, and conn.
 */
#include "io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api_log.h"
#include "cleanup.h"
#include "conn.h"
#include "extents.h"
#include "log.h"
#define NBDKIT_API_VERSION 2
#include "nbdkit-plugin.h"
#include "plugin.h"
#include "sparse.h"

/* A range of more than 32 bits goes to the plugin in pieces of this size. */
#define PIECE_BYTES (UINT32_C(2) * 1024 * 1024 * 1024)

/* Extents are asked for in longer ones, which any minimum block size divides. */
#define EXTENTS_PIECE_BYTES (UINT32_MAX - 65535)

/* Zeroes are written from no more than fits a processor's cache. */
#define ZERO_STEP_BYTES (UINT32_C(1024) * 1024)

/* What is cached by reading is read in few calls: each may cost a process. */
#define CACHE_STEP_BYTES (UINT32_C(64) * 1024 * 1024)

/* There is an extent or more on either side of each hole. */
enum { SPARSE_EXTENTS_MAX = 4 * SPARSE_PIECES_MAX };

/* Each may cost a process: a block status of more pieces is answered in part. */
enum { EXTENTS_CALLS_MAX = 64 };

static void leave_plugin(struct conn **conn)
{
    plugin_leave(*conn);
}

/*
 * Holds the lock of the thread model to the end of the scope, and leaves the
 * function with ESHUTDOWN where the connection no longer takes commands.
 */
#define PLUGIN_SCOPE(conn)                                                                         \
    plugin_enter(conn);                                                                            \
    __attribute__((__cleanup__(leave_plugin))) struct conn *entered_conn_ = (conn);                \
    if (conn_get_state(entered_conn_) != CONN_ACTIVE)                                              \
    return ESHUTDOWN

static bool is_unsupported(int error)
{
    return error == ENOTSUP || error == EOPNOTSUPP;
}

/* The flags that make a write callback durable by itself. */
static uint32_t native_fua(const struct conn *conn, bool is_fua)
{
    return is_fua && conn->export.can_fua == NBDKIT_FUA_NATIVE ? NBDKIT_FLAG_FUA : 0;
}

/* After a successful write callback: what a plugin without native FUA needs more. */
static int finish_write(struct conn *conn, int error, bool is_fua)
{
    if (error || !is_fua || conn->export.can_fua != NBDKIT_FUA_EMULATE)
        return error;
    return plugin_read_result(PLUGIN_CALL(flush)(conn->export.handle, 0));
}

/* Lets others into the plugin between two calls. */
static void take_turns(struct conn *conn)
{
    plugin_leave(conn);
    plugin_enter(conn);
}

/* After a step of the range that came to *error: returns whether the next one is to follow. */
static bool step_on(struct conn *conn, struct io_range *range, uint32_t step, int *error)
{
    range->offset += step;
    range->count -= step;
    if (*error || range->count == 0)
        return false;
    take_turns(conn);
    if (conn_get_state(conn) >= CONN_CLOSING)
        *error = ESHUTDOWN;
    return !*error;
}

/* A plugin gets no more bytes at once than it takes, nor more than so many. */
static uint32_t get_step(const struct conn *conn, uint32_t step_max, uint64_t left)
{
    uint32_t step = conn->export.call_max < step_max ? conn->export.call_max : step_max;

    return left < step ? (uint32_t)left : step;
}

static int call_pread(struct conn *conn, struct io_range range, char *buffer)
{
    uint32_t step;
    int error;

    do {
        step = get_step(conn, UINT32_MAX, range.count);
        error = plugin_read_result(
            PLUGIN_CALL(pread)(conn->export.handle, buffer, step, range.offset, 0));
        buffer += step;
    } while (step_on(conn, &range, step, &error));
    return error;
}

static int call_pwrite(struct conn *conn, struct io_range range, const char *buffer, bool is_fua)
{
    uint32_t step;
    int error;

    do {
        step = get_step(conn, UINT32_MAX, range.count);
        error = plugin_read_result(PLUGIN_CALL(pwrite)(conn->export.handle, buffer, step,
                                                       range.offset, native_fua(conn, is_fua)));
        buffer += step;
    } while (step_on(conn, &range, step, &error));
    return error;
}

int io_read(struct conn *conn, struct io_range range, void *buffer)
{
    PLUGIN_SCOPE(conn);
    return call_pread(conn, range, buffer);
}

bool io_is_sparse_read(struct conn *conn, struct io_range range)
{
    return conn->export.can_extents && range.count >= conn->export.sparse_minimum &&
           !atomic_load(&conn->has_extents_failed);
}

static int call_extents(struct conn *conn, struct io_range range, bool is_one,
                        struct nbdkit_extents *extents)
{
    size_t count;

    if (range.count > UINT32_MAX)
        range.count = EXTENTS_PIECE_BYTES;
    int error = plugin_read_result(PLUGIN_CALL(extents)(conn->export.handle, (uint32_t)range.count,
                                                        range.offset,
                                                        is_one ? NBDKIT_FLAG_REQ_ONE : 0, extents));

    if (error)
        return error;
    extents_get(extents, &count);
    if (count > 0)
        return 0;
    log_error("plugin %s: extents returned none that covers offset %llu", plugin_get_name(),
              (unsigned long long)range.offset);
    return EINVAL;
}

/* Asks for holes. What the plugin fails to say is data. */
static size_t find_pieces(struct conn *conn, struct io_range range, struct sparse_piece *pieces)
{
    uint64_t end = range.offset + range.count;
    uint32_t unit = conn->export.block_minimum > 4096 ? conn->export.block_minimum : 4096;
    struct nbdkit_extents *extents =
        extents_new((struct extents_range){ range.offset, end, end }, SPARSE_EXTENTS_MAX);
    const struct extent *list = NULL;
    size_t count = 0;

    if (extents && call_extents(conn, range, false, extents) == 0)
        list = extents_get(extents, &count);
    else
        atomic_store(&conn->has_extents_failed, true);
    count = sparse_split(range.offset, end, unit, list, count, pieces);
    nbdkit_extents_free(extents);
    return count;
}

int io_read_sparse(struct conn *conn, struct io_range range, char *buffer,
                   struct sparse_piece *pieces, size_t *count)
{
    int error = 0;

    PLUGIN_SCOPE(conn);
    *count = find_pieces(conn, range, pieces);
    api_log_clear_text();
    for (size_t i = 0; i < *count && !error; i++) {
        struct io_range piece = { pieces[i].offset, pieces[i].length };
        if (!pieces[i].is_hole)
            error = call_pread(conn, piece, buffer + (piece.offset - range.offset));
    }
    return error;
}

int io_write(struct conn *conn, struct io_range range, const void *buffer, bool is_fua)
{
    PLUGIN_SCOPE(conn);
    return finish_write(conn, call_pwrite(conn, range, buffer, is_fua), is_fua);
}

int io_flush(struct conn *conn)
{
    PLUGIN_SCOPE(conn);
    return plugin_read_result(PLUGIN_CALL(flush)(conn->export.handle, 0));
}

uint32_t io_get_zero_step(const struct conn *conn, uint64_t bytes)
{
    return get_step(conn, ZERO_STEP_BYTES, bytes);
}

uint32_t io_get_cache_step(const struct conn *conn, uint64_t bytes)
{
    return get_step(conn, CACHE_STEP_BYTES, bytes);
}

/* The first piece of a range that is too long for one callback. They end at multiples. */
static struct io_range first_piece(struct io_range range)
{
    if (range.count > UINT32_MAX)
        range.count = PIECE_BYTES - range.offset % PIECE_BYTES;
    return range;
}

/* Has `do_piece` do each piece of the range; then makes it durable. */
static int do_pieces(struct conn *conn, struct io_range range, struct io_zero_flags flags,
                     int (*do_piece)(struct conn *, struct io_range, struct io_zero_flags))
{
    PLUGIN_SCOPE(conn);
    for (;;) {
        struct io_range piece = first_piece(range);
        int error = do_piece(conn, piece, flags);
        range.offset += piece.count;
        range.count -= piece.count;
        if (error || range.count == 0)
            return finish_write(conn, error, flags.is_fua);
        take_turns(conn);
        if (conn_is_ending(conn))
            return ESHUTDOWN;
    }
}

static int trim_piece(struct conn *conn, struct io_range piece, struct io_zero_flags flags)
{
    return plugin_read_result(PLUGIN_CALL(trim)(conn->export.handle, (uint32_t)piece.count,
                                                piece.offset, native_fua(conn, flags.is_fua)));
}

int io_trim(struct conn *conn, struct io_range range, bool is_fua)
{
    return do_pieces(conn, range, (struct io_zero_flags){ .is_fua = is_fua }, trim_piece);
}

static int write_zeroes(struct conn *conn, struct io_range range, bool is_fua)
{
    uint32_t buffer_bytes = io_get_zero_step(conn, range.count), step;
    void *zeroes = spares_take(&conn->spares, buffer_bytes);
    int error;

    if (!zeroes)
        return ENOMEM;
    do {
        step = io_get_zero_step(conn, range.count);
        /* Anew for each call: a plugin may change a buffer in place, and leave it so. */
        memset(zeroes, 0, step);
        error = call_pwrite(conn, (struct io_range){ range.offset, step }, zeroes, is_fua);
    } while (step_on(conn, &range, step, &error));
    spares_give(&conn->spares, zeroes, buffer_bytes);
    return error;
}

static int call_zero(struct conn *conn, struct io_range range, struct io_zero_flags flags)
{
    uint32_t plugin_flags = native_fua(conn, flags.is_fua);

    /* API version 1 has no fast zero that a plugin could refuse. */
    if (!conn->export.can_zero || (flags.is_fast && plugin_get_api_version() == 1))
        return ENOTSUP;
    if (flags.may_trim)
        plugin_flags |= NBDKIT_FLAG_MAY_TRIM;
    if (flags.is_fast)
        plugin_flags |= NBDKIT_FLAG_FAST_ZERO;
    return plugin_read_result(
        PLUGIN_CALL(zero)(conn->export.handle, (uint32_t)range.count, range.offset, plugin_flags));
}

static int zero_piece(struct conn *conn, struct io_range piece, struct io_zero_flags flags)
{
    int error = call_zero(conn, piece, flags);

    /* Writing zeroes is no faster than a write, so never what a fast zero wants. */
    if (!is_unsupported(error))
        return error;
    if (flags.is_fast)
        return ENOTSUP;
    atomic_store_explicit(&conn->has_zero_failed, true, memory_order_relaxed);
    return write_zeroes(conn, piece, flags.is_fua);
}

int io_zero(struct conn *conn, struct io_range range, struct io_zero_flags flags)
{
    return do_pieces(conn, range, flags, zero_piece);
}

static int read_and_drop(struct conn *conn, struct io_range range)
{
    CLEANUP_FREE void *buffer = malloc(io_get_cache_step(conn, range.count));
    uint32_t step;
    int error;

    if (!buffer)
        return ENOMEM;
    do {
        step = io_get_cache_step(conn, range.count);
        error = call_pread(conn, (struct io_range){ range.offset, step }, buffer);
    } while (step_on(conn, &range, step, &error));
    return error;
}

static int cache_piece(struct conn *conn, struct io_range piece, struct io_zero_flags flags)
{
    (void)flags;
    if (conn->export.can_cache == NBDKIT_CACHE_EMULATE)
        return read_and_drop(conn, piece);
    return plugin_read_result(
        PLUGIN_CALL(cache)(conn->export.handle, (uint32_t)piece.count, piece.offset, 0));
}

int io_cache(struct conn *conn, struct io_range range)
{
    /* Native without a callback: there is nothing to do. */
    if (conn->export.can_cache == NBDKIT_CACHE_NATIVE && !plugin_get_table()->cache)
        return conn_get_state(conn) == CONN_ACTIVE ? 0 : ESHUTDOWN;
    return do_pieces(conn, range, (struct io_zero_flags){ 0 }, cache_piece);
}

/* May an answer of one extent become longer? */
static bool is_extendable(const struct nbdkit_extents *extents, bool is_one)
{
    size_t count;

    extents_get(extents, &count);
    return !is_one || count == 1;
}

int io_extents(struct conn *conn, struct io_range range, bool is_one,
               struct nbdkit_extents *extents)
{
    const struct conn_export *export = &conn->export;
    bool is_long = range.count > UINT32_MAX;
    uint64_t end = range.offset + range.count;

    PLUGIN_SCOPE(conn);
    if (!export->can_extents)
        return nbdkit_add_extent(extents, range.offset, range.count, 0) < 0 ? errno : 0;
    int error = call_extents(conn, range, is_one, extents);
    /* What was learnt so far is an answer, too. */
    for (int calls = 1; !error && is_long && calls < EXTENTS_CALLS_MAX; calls++) {
        range.offset = extents_continue(extents);
        if (range.offset >= end || !is_extendable(extents, is_one) || conn_is_ending(conn))
            break;
        range.count = end - range.offset;
        take_turns(conn);
        if (call_extents(conn, range, is_one, extents) != 0 ||
            extents_continue(extents) == range.offset)
            break;
    }
    if (!error && export->block_minimum > 1 &&
        extents_align(extents, export->block_minimum, export->size_bytes) < 0)
        return errno;
    return error;
}
