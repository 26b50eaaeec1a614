// SPDX-License-Identifier: BSD-3-Clause
/*
 * Calls the plugin's data callbacks and emulates those that are missing.
 * Entered by every thread of a session; calls plugin and its table, and conn.
 */
#include "io.h"

#include <errno.h>
#include <stdlib.h>

#include "cleanup.h"
#include "conn.h"
#include "extents.h"
#include "log.h"
#define NBDKIT_API_VERSION 2
#include "nbdkit-plugin.h"
#include "plugin.h"

/* Emulated zeroing and caching go in steps of this size. */
enum { STEP_BYTES = 1024 * 1024 };

static const unsigned char zeroes[STEP_BYTES];

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

static int to_error(int result)
{
    return result >= 0 ? 0 : plugin_take_error();
}

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
    return to_error(plugin_get_table()->flush(conn->export.handle, 0));
}

int io_read(struct conn *conn, struct io_range range, void *buffer)
{
    PLUGIN_SCOPE(conn);
    return to_error(
        plugin_get_table()->pread(conn->export.handle, buffer, range.count, range.offset, 0));
}

int io_write(struct conn *conn, struct io_range range, const void *buffer, bool is_fua)
{
    PLUGIN_SCOPE(conn);
    int error = to_error(plugin_get_table()->pwrite(conn->export.handle, buffer, range.count,
                                                    range.offset, native_fua(conn, is_fua)));
    return finish_write(conn, error, is_fua);
}

int io_flush(struct conn *conn)
{
    PLUGIN_SCOPE(conn);
    return to_error(plugin_get_table()->flush(conn->export.handle, 0));
}

int io_trim(struct conn *conn, struct io_range range, bool is_fua)
{
    PLUGIN_SCOPE(conn);
    int error = to_error(plugin_get_table()->trim(conn->export.handle, range.count, range.offset,
                                                  native_fua(conn, is_fua)));
    return finish_write(conn, error, is_fua);
}

static uint32_t next_step(const struct conn *conn, uint32_t left)
{
    uint32_t step = STEP_BYTES;

    if (conn->export.block_maximum && conn->export.block_maximum < step)
        step = conn->export.block_maximum;
    return left < step ? left : step;
}

static int write_zeroes(struct conn *conn, struct io_range range, bool is_fua)
{
    while (range.count > 0) {
        uint32_t step = next_step(conn, range.count);
        int error = to_error(plugin_get_table()->pwrite(conn->export.handle, zeroes, step,
                                                        range.offset, native_fua(conn, is_fua)));
        if (error)
            return error;
        if (conn_get_state(conn) == CONN_DEAD)
            return ESHUTDOWN;
        range.offset += step;
        range.count -= step;
    }
    return 0;
}

static int call_zero(struct conn *conn, struct io_range range, struct io_zero_flags flags)
{
    uint32_t plugin_flags = native_fua(conn, flags.is_fua);

    if (!conn->export.can_zero)
        return ENOTSUP;
    if (flags.may_trim)
        plugin_flags |= NBDKIT_FLAG_MAY_TRIM;
    if (flags.is_fast)
        plugin_flags |= NBDKIT_FLAG_FAST_ZERO;
    return to_error(
        plugin_get_table()->zero(conn->export.handle, range.count, range.offset, plugin_flags));
}

int io_zero(struct conn *conn, struct io_range range, struct io_zero_flags flags)
{
    PLUGIN_SCOPE(conn);
    int error = call_zero(conn, range, flags);

    /* Writing zeroes is no faster than a write, so never what a fast zero wants. */
    if (is_unsupported(error))
        error = flags.is_fast ? ENOTSUP : write_zeroes(conn, range, flags.is_fua);
    return finish_write(conn, error, flags.is_fua);
}

static int read_and_drop(struct conn *conn, struct io_range range)
{
    CLEANUP_FREE void *buffer = malloc(next_step(conn, range.count));

    if (!buffer)
        return ENOMEM;
    while (range.count > 0) {
        uint32_t step = next_step(conn, range.count);
        int error =
            to_error(plugin_get_table()->pread(conn->export.handle, buffer, step, range.offset, 0));
        if (error)
            return error;
        if (conn_get_state(conn) == CONN_DEAD)
            return ESHUTDOWN;
        range.offset += step;
        range.count -= step;
    }
    return 0;
}

int io_cache(struct conn *conn, struct io_range range)
{
    const struct nbdkit_plugin *table = plugin_get_table();

    PLUGIN_SCOPE(conn);
    if (conn->export.can_cache == NBDKIT_CACHE_EMULATE)
        return read_and_drop(conn, range);
    if (!table->cache)
        return 0;
    return to_error(table->cache(conn->export.handle, range.count, range.offset, 0));
}

int io_extents(struct conn *conn, struct io_range range, bool is_one,
               struct nbdkit_extents *extents)
{
    size_t count;

    PLUGIN_SCOPE(conn);
    if (!conn->export.can_extents)
        return nbdkit_add_extent(extents, range.offset, range.count, 0) < 0 ? errno : 0;
    int error = to_error(plugin_get_table()->extents(conn->export.handle, range.count, range.offset,
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
