/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The callbacks that go on to the compiled plugin. Where it lacks one, they do
 * what the server does for a plugin that lacks it.
 */
#ifndef FORWARD_H
#define FORWARD_H

#include <stdint.h>

struct nbdkit_exports;
struct nbdkit_extents;

int forward_get_ready(void);
int forward_after_fork(void);
void forward_cleanup(void);
int forward_preconnect(int readonly);
int forward_list_exports(int readonly, int is_tls, struct nbdkit_exports *exports);
const char *forward_default_export(int readonly, int is_tls);

/* The handle is the cc plugin's own; it has the compiled plugin's in it. */
void *forward_open(int readonly);
void forward_close(void *handle);
const char *forward_export_description(void *handle);
int64_t forward_get_size(void *handle);
int forward_block_size(void *handle, uint32_t *minimum, uint32_t *preferred, uint32_t *maximum);
int forward_can_write(void *handle);
int forward_can_flush(void *handle);
int forward_is_rotational(void *handle);
int forward_can_trim(void *handle);
int forward_can_zero(void *handle);
int forward_can_fast_zero(void *handle);
int forward_can_fua(void *handle);
int forward_can_multi_conn(void *handle);
int forward_can_extents(void *handle);
int forward_can_cache(void *handle);
int forward_pread(void *handle, void *buf, uint32_t count, uint64_t offset, uint32_t flags);
int forward_pwrite(void *handle, const void *buf, uint32_t count, uint64_t offset, uint32_t flags);
int forward_flush(void *handle, uint32_t flags);
int forward_trim(void *handle, uint32_t count, uint64_t offset, uint32_t flags);
int forward_zero(void *handle, uint32_t count, uint64_t offset, uint32_t flags);
int forward_extents(void *handle, uint32_t count, uint64_t offset, uint32_t flags,
                    struct nbdkit_extents *extents);
int forward_cache(void *handle, uint32_t count, uint64_t offset, uint32_t flags);

/* The members of struct nbdkit_plugin that are here. */
#define FORWARD_MEMBERS                                                                            \
    .get_ready = forward_get_ready, .after_fork = forward_after_fork, .cleanup = forward_cleanup,  \
    .preconnect = forward_preconnect, .list_exports = forward_list_exports,                        \
    .default_export = forward_default_export, .open = forward_open, .close = forward_close,        \
    .export_description = forward_export_description, .get_size = forward_get_size,                \
    .block_size = forward_block_size, .can_write = forward_can_write,                              \
    .can_flush = forward_can_flush, .is_rotational = forward_is_rotational,                        \
    .can_trim = forward_can_trim, .can_zero = forward_can_zero,                                    \
    .can_fast_zero = forward_can_fast_zero, .can_fua = forward_can_fua,                            \
    .can_multi_conn = forward_can_multi_conn, .can_extents = forward_can_extents,                  \
    .can_cache = forward_can_cache, .pread = forward_pread, .pwrite = forward_pwrite,              \
    .flush = forward_flush, .trim = forward_trim, .zero = forward_zero,                            \
    .extents = forward_extents, .cache = forward_cache, .errno_is_preserved = 1

#endif
