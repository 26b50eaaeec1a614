/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The plugin's callbacks that need a connection, as nbdkit-plugin.h has them, and those about
 * exports. A handle is a reference to what the script's open() returned. They take the
 * interpreter's lock; any thread. What the script has no function for is answered as the
 * server answers it for a plugin without the callback.
 */
#ifndef CALLBACKS_H
#define CALLBACKS_H

#include <stdint.h>

struct nbdkit_exports;
struct nbdkit_extents;

/* capabilities.c */
int64_t capabilities_get_size(void *handle);
int capabilities_block_size(void *handle, uint32_t *minimum, uint32_t *preferred,
                            uint32_t *maximum);
int capabilities_can_cache(void *handle);
int capabilities_can_extents(void *handle);
int capabilities_can_fast_zero(void *handle);
int capabilities_can_flush(void *handle);
int capabilities_can_fua(void *handle);
int capabilities_can_multi_conn(void *handle);
int capabilities_can_trim(void *handle);
int capabilities_can_write(void *handle);
int capabilities_can_zero(void *handle);
int capabilities_is_rotational(void *handle);

/* exports.c */
int exports_list(int readonly, int is_tls, struct nbdkit_exports *exports);
const char *exports_get_default(int readonly, int is_tls);
const char *exports_describe(void *handle);

/* requests.c */
int requests_pread(void *handle, void *buffer, uint32_t count, uint64_t offset, uint32_t flags);
int requests_pwrite(void *handle, const void *buffer, uint32_t count, uint64_t offset,
                    uint32_t flags);
int requests_flush(void *handle, uint32_t flags);
int requests_trim(void *handle, uint32_t count, uint64_t offset, uint32_t flags);
int requests_zero(void *handle, uint32_t count, uint64_t offset, uint32_t flags);
int requests_cache(void *handle, uint32_t count, uint64_t offset, uint32_t flags);
int requests_extents(void *handle, uint32_t count, uint64_t offset, uint32_t flags,
                     struct nbdkit_extents *extents);

#endif
