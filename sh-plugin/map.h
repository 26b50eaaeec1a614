/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The requests of a connection that has a map: each is split at the edges of
 * its ranges, done in order, and ended by the first error. Arguments and
 * results are those of the callbacks in nbdlab-plugin(3); what fails has been
 * logged. Any thread, no locks.
 */
#ifndef MAP_H
#define MAP_H

#include <stdbool.h>
#include <stdint.h>

struct connection;
struct nbdkit_extents;

int map_pread(const struct connection *connection, void *buffer, uint32_t count, uint64_t offset);
int map_pwrite(const struct connection *connection, const void *buffer, uint32_t count,
               uint64_t offset, uint32_t flags);
int map_trim(const struct connection *connection, uint32_t count, uint64_t offset, uint32_t flags);
int map_zero(const struct connection *connection, uint32_t count, uint64_t offset, uint32_t flags);
int map_cache(const struct connection *connection, uint32_t count, uint64_t offset);
int map_extents(const struct connection *connection, uint32_t count, uint64_t offset,
                uint32_t flags, struct nbdkit_extents *extents);

/* Reaches every file and the script, whatever fails before; the first error counts. */
int map_flush(const struct connection *connection);

/* Files can flush, trim, zero, do FUA and cache, whatever the script can do. */
bool map_has_files(const struct connection *connection);

/* Are there ranges whose extents are known without the script? */
bool map_has_extents(const struct connection *connection);

#endif
