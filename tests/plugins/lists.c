/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A disk of 1 MiB that makes lists of its own before it fills in the server's: of extents, of which
 * every second block of 64 KiB is a hole, and of two exports. What a list says of itself goes to
 * the log.
 */
#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include <stdint.h>
#include <string.h>

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

enum { SIZE_BYTES = 1 << 20, BLOCK_BYTES = 64 << 10 };

static void *lists_open(int readonly)
{
    (void)readonly;
    return NBDKIT_HANDLE_NOT_NEEDED;
}

static int64_t lists_get_size(void *handle)
{
    (void)handle;
    return SIZE_BYTES;
}

static int lists_pread(void *handle, void *buffer, uint32_t count, uint64_t offset, uint32_t flags)
{
    (void)handle, (void)offset, (void)flags;
    memset(buffer, 0, count);
    return 0;
}

/* A list of the whole disk, from the block before `offset` on. */
static struct nbdkit_extents *make_extents(uint64_t offset)
{
    struct nbdkit_extents *list = nbdkit_extents_new(offset, SIZE_BYTES);

    for (uint64_t at = 0; list && at < SIZE_BYTES; at += BLOCK_BYTES)
        if (nbdkit_add_extent(list, at, BLOCK_BYTES,
                              at / BLOCK_BYTES % 2 ? NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO : 0)) {
            nbdkit_extents_free(list);
            return NULL;
        }
    return list;
}

static int lists_extents(void *handle, uint32_t count, uint64_t offset, uint32_t flags,
                         struct nbdkit_extents *extents)
{
    struct nbdkit_extents *list = make_extents(offset);
    int result = list ? 0 : -1;

    (void)handle, (void)count, (void)flags;
    if (list)
        nbdkit_debug("%zu extents", nbdkit_extents_count(list));
    for (size_t i = 0; list && i < nbdkit_extents_count(list) && result == 0; i++) {
        struct nbdkit_extent extent = nbdkit_get_extent(list, i);
        result = nbdkit_add_extent(extents, extent.offset, extent.length, extent.type);
    }
    nbdkit_extents_free(list);
    return result;
}

static int lists_list_exports(int readonly, int is_tls, struct nbdkit_exports *exports)
{
    struct nbdkit_exports *list = nbdkit_exports_new();
    int result = -1;

    (void)readonly, (void)is_tls;
    if (list && nbdkit_add_export(list, "one", NULL) == 0 &&
        nbdkit_add_export(list, "two", "the second") == 0)
        result = 0;
    for (size_t i = 0; result == 0 && i < nbdkit_exports_count(list); i++) {
        struct nbdkit_export export = nbdkit_get_export(list, i);
        result = nbdkit_add_export(exports, export.name, export.description);
    }
    nbdkit_exports_free(list);
    return result;
}

/* What is refused at once: a range that ends before it begins, or beyond all disks. */
static int lists_get_ready(void)
{
    return nbdkit_extents_new(2, 1) || nbdkit_extents_new(0, UINT64_MAX) ? -1 : 0;
}

static struct nbdkit_plugin plugin = {
    .name = "lists",
    .get_ready = lists_get_ready,
    .open = lists_open,
    .get_size = lists_get_size,
    .pread = lists_pread,
    .extents = lists_extents,
    .list_exports = lists_list_exports,
};

NBDKIT_REGISTER_PLUGIN(plugin)
