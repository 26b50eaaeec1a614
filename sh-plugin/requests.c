/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The callbacks that move data: to the map of the connection where it has one,
 * else to the script. Any thread of the server enters it. Calls map and
 * script_io.
 */
#include <stddef.h>

#include "connection.h"
#include "map.h"
#include "methods.h"
#include "script_io.h"

int methods_pread(void *handle, void *buffer, uint32_t count, uint64_t offset, uint32_t flags)
{
    const struct connection *connection = handle;

    (void)flags;
    return connection->map == NULL ? script_pread(connection, buffer, count, offset)
                                   : map_pread(connection, buffer, count, offset);
}

int methods_pwrite(void *handle, const void *buffer, uint32_t count, uint64_t offset,
                   uint32_t flags)
{
    const struct connection *connection = handle;

    return connection->map == NULL ? script_pwrite(connection, buffer, count, offset, flags)
                                   : map_pwrite(connection, buffer, count, offset, flags);
}

int methods_flush(void *handle, uint32_t flags)
{
    const struct connection *connection = handle;

    (void)flags;
    return connection->map == NULL ? script_flush(connection) : map_flush(connection);
}

int methods_trim(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    const struct connection *connection = handle;

    return connection->map == NULL ? script_trim(connection, count, offset, flags)
                                   : map_trim(connection, count, offset, flags);
}

/* The server answers EOPNOTSUPP by writing zeroes, which is all that a script without it lacks. */
int methods_zero(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    const struct connection *connection = handle;

    return connection->map == NULL ? script_zero(connection, count, offset, flags)
                                   : map_zero(connection, count, offset, flags);
}

int methods_cache(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    const struct connection *connection = handle;

    (void)flags;
    return connection->map == NULL ? script_cache(connection, count, offset)
                                   : map_cache(connection, count, offset);
}

int methods_extents(void *handle, uint32_t count, uint64_t offset, uint32_t flags,
                    struct nbdkit_extents *extents)
{
    const struct connection *connection = handle;

    if (connection->map != NULL)
        return map_extents(connection, count, offset, flags, extents);
    struct script_stretch stretch = { offset, count, INT64_MAX };
    return script_extents(connection, stretch, flags, extents) < 0 ? -1 : 0;
}
