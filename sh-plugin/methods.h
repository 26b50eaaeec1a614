/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The callbacks that the sh and the eval plugin share: each runs the script
 * with the arguments of nbdlab-sh-plugin(3) and reads its answer. Returns,
 * errors and threads are those of nbdlab-plugin(3).
 */
#ifndef METHODS_H
#define METHODS_H

#include <stdint.h>

struct nbdkit_exports;
struct nbdkit_extents;

void methods_load(void); /* exits where it fails: the callback cannot say so */
void methods_unload(void);
int methods_config(const char *key, const char *value);
int methods_config_complete(void);
int methods_thread_model(void);
int methods_get_ready(void);
int methods_after_fork(void);
void methods_dump_plugin(void);

int methods_preconnect(int readonly);
int methods_list_exports(int readonly, int is_tls, struct nbdkit_exports *exports);
const char *methods_default_export(int readonly, int is_tls);
void *methods_open(int readonly);
void methods_close(void *handle);

const char *methods_export_description(void *handle);
int64_t methods_get_size(void *handle);
int methods_block_size(void *handle, uint32_t *minimum, uint32_t *preferred, uint32_t *maximum);
int methods_can_write(void *handle);
int methods_can_flush(void *handle);
int methods_can_trim(void *handle);
int methods_can_zero(void *handle);
int methods_can_fast_zero(void *handle);
int methods_can_extents(void *handle);
int methods_can_fua(void *handle);
int methods_can_cache(void *handle);
int methods_can_multi_conn(void *handle);
int methods_is_rotational(void *handle);

int methods_pread(void *handle, void *buffer, uint32_t count, uint64_t offset, uint32_t flags);
int methods_pwrite(void *handle, const void *buffer, uint32_t count, uint64_t offset,
                   uint32_t flags);
int methods_flush(void *handle, uint32_t flags);
int methods_trim(void *handle, uint32_t count, uint64_t offset, uint32_t flags);
int methods_zero(void *handle, uint32_t count, uint64_t offset, uint32_t flags);
int methods_cache(void *handle, uint32_t count, uint64_t offset, uint32_t flags);
int methods_extents(void *handle, uint32_t count, uint64_t offset, uint32_t flags,
                    struct nbdkit_extents *extents);

/* The members of struct nbdkit_plugin that are the same for both plugins. */
#define METHODS_MEMBERS                                                                            \
    .load = methods_load, .preconnect = methods_preconnect, .list_exports = methods_list_exports,  \
    .default_export = methods_default_export, .open = methods_open, .close = methods_close,        \
    .export_description = methods_export_description, .get_size = methods_get_size,                \
    .block_size = methods_block_size, .can_write = methods_can_write,                              \
    .can_flush = methods_can_flush, .can_trim = methods_can_trim, .can_zero = methods_can_zero,    \
    .can_fast_zero = methods_can_fast_zero, .can_extents = methods_can_extents,                    \
    .can_fua = methods_can_fua, .can_cache = methods_can_cache,                                    \
    .can_multi_conn = methods_can_multi_conn, .is_rotational = methods_is_rotational,              \
    .pread = methods_pread, .pwrite = methods_pwrite, .flush = methods_flush,                      \
    .trim = methods_trim, .zero = methods_zero, .cache = methods_cache,                            \
    .extents = methods_extents, .get_ready = methods_get_ready, .after_fork = methods_after_fork,  \
    .errno_is_preserved = 1

#endif
