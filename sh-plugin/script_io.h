/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The methods of the script that move data, as nbdlab-sh-plugin(3) describes
 * them: each function is one call. flags are NBDKIT_FLAG_*. Each returns 0, or
 * -1 after the error was logged, nbdkit_set_error called and errno set. Any
 * thread; no locks.
 */
#ifndef SCRIPT_IO_H
#define SCRIPT_IO_H

#include <stdint.h>

struct connection;
struct nbdkit_extents;

int script_pread(const struct connection *connection, void *buffer, uint32_t count,
                 uint64_t offset);
int script_pwrite(const struct connection *connection, const void *buffer, uint32_t count,
                  uint64_t offset, uint32_t flags);
int script_flush(const struct connection *connection);
int script_trim(const struct connection *connection, uint32_t count, uint64_t offset,
                uint32_t flags);

/* EOPNOTSUPP or ENOTSUP: write zeroes instead. A script without the method says so, too. */
int script_zero(const struct connection *connection, uint32_t count, uint64_t offset,
                uint32_t flags);
int script_cache(const struct connection *connection, uint32_t count, uint64_t offset);

/* A range to tell the extents of, and where the last one is cut: not before the range's end. */
struct script_stretch {
    uint64_t offset;
    uint32_t count;
    uint64_t limit;
};

/*
 * Adds the extents of the range. Returns for how many bytes, from the first on,
 * the script told them: at least 1; or -1.
 */
int64_t script_extents(const struct connection *connection, struct script_stretch stretch,
                       uint32_t flags, struct nbdkit_extents *extents);

/* Numbers as arguments of the script. */
struct script_range {
    char count[24];
    char offset[24];
};
struct script_range script_format_range(uint32_t count, uint64_t offset);

#endif
