/* SPDX-License-Identifier: BSD-3-Clause */

/* The memory plugin: a RAM disk that all clients share and that is gone when the server ends.
 * Owns the parameters and the one disk. Request threads are in here in parallel; it may call
 * pages, packed and the plugin API. */

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "packed.h"
#include "pages.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

static int64_t size_bytes = -1;
static const struct allocator {
    const char *name;
    enum pages_kind kind;
} allocators[] = {
    { "sparse", PAGES_SPARSE },
    { "malloc", PAGES_WHOLE },
    { "zstd", PAGES_PACKED },
};

static const struct allocator *allocator; /* NULL for sparse, if it was not given */
static bool must_lock;
static struct pages disk;
static bool is_created;

static const struct allocator *find_allocator(const char *value, size_t length)
{
    for (size_t i = 0; i < sizeof allocators / sizeof allocators[0]; i++)
        if (strlen(allocators[i].name) == length && strncmp(value, allocators[i].name, length) == 0)
            return &allocators[i];
    return NULL;
}

/* What follows the name: ",mlock" or ",mlock=BOOLEAN" of malloc. */
static int parse_lock(const char *text)
{
    int is_true = 1;

    if (allocator->kind != PAGES_WHOLE || strncmp(text, ",mlock", 6) != 0 ||
        (text[6] != '\0' && text[6] != '=')) {
        nbdkit_error("memory: allocator=%s%s: there is malloc,mlock=true and nothing else of this "
                     "form",
                     allocator->name, text);
        return -1;
    }
    if (text[6] == '=')
        is_true = nbdkit_parse_bool(text + 7);
    must_lock = is_true == 1;
    return is_true == -1 ? -1 : 0;
}

static int parse_allocator(const char *value)
{
    size_t length = strcspn(value, ",");

    allocator = find_allocator(value, length);
    if (allocator == NULL) {
        nbdkit_error(
            "memory: allocator=%s is not supported: use sparse, malloc, malloc,mlock or zstd",
            value);
        return -1;
    }
    if (allocator->kind == PAGES_PACKED && !packed_is_built()) {
        nbdkit_error("memory: allocator=%s: this nbdlab was built without zstd", value);
        return -1;
    }
    return value[length] == '\0' ? 0 : parse_lock(value + length);
}

static int refuse_second(const char *key, const char *value)
{
    nbdkit_error("memory: %s=%s: %s was given before, it can be given only once", key, value, key);
    return -1;
}

static int memory_config(const char *key, const char *value)
{
    if (strcmp(key, "allocator") == 0)
        return allocator != NULL ? refuse_second(key, value) : parse_allocator(value);
    if (strcmp(key, "size") != 0) {
        nbdkit_error("memory: unknown parameter '%s': it takes size and allocator", key);
        return -1;
    }
    if (size_bytes != -1)
        return refuse_second(key, value);
    size_bytes = nbdkit_parse_size(value);
    return size_bytes == -1 ? -1 : 0;
}

static int memory_config_complete(void)
{
    if (size_bytes == -1) {
        nbdkit_error("memory: the disk's size is missing: give one, for example size=1G");
        return -1;
    }
    return 0;
}

static int memory_get_ready(void)
{
    enum pages_kind kind = allocator == NULL ? PAGES_SPARSE : allocator->kind;

    if (pages_create(&disk, (uint64_t)size_bytes, kind) == -1) {
        nbdkit_error("memory: no memory for a disk of %" PRIi64 " bytes: "
                     "make it smaller or leave allocator=malloc out",
                     size_bytes);
        return -1;
    }
    is_created = true;
    return 0;
}

/* Not before: a child of fork(2) has no locked memory. */
static int memory_after_fork(void)
{
    if (!must_lock || pages_lock_memory(&disk) == 0)
        return 0;
    nbdkit_error("memory: cannot lock %" PRIi64 " bytes in memory: %m: raise the limit of "
                 "`ulimit -l`, or start as root and without -u",
                 size_bytes);
    return -1;
}

static void memory_dump_plugin(void)
{
    printf("mlock=yes\n");
    printf("zstd=%s\n", packed_is_built() ? "yes" : "no");
}

static void memory_unload(void)
{
    if (is_created)
        pages_destroy(&disk);
}

static void *memory_open(int readonly)
{
    (void)readonly;
    return NBDKIT_HANDLE_NOT_NEEDED;
}

static int64_t memory_get_size(void *handle)
{
    (void)handle;
    return size_bytes;
}

static int answer_yes(void *handle)
{
    (void)handle;
    return 1;
}

/* Native because there is nothing to flush. */
static int memory_can_fua(void *handle)
{
    (void)handle;
    return NBDKIT_FUA_NATIVE;
}

/* Without a cache callback such a request succeeds at once: it is all in memory already. */
static int memory_can_cache(void *handle)
{
    (void)handle;
    return NBDKIT_CACHE_NATIVE;
}

/* ENOSPC rather than ENOMEM: to the client, a thin disk has run full. */
static int fail_without_memory(uint32_t count, uint64_t offset)
{
    if (errno == EIO) {
        nbdkit_error("memory: the compressed page at offset %" PRIu64 " is damaged", offset);
        return -1;
    }
    nbdkit_error("memory: no memory left for %" PRIu32 " byte%s at offset %" PRIu64 ": "
                 "trim the disk, raise the server's memory limit, or serve a file",
                 count, count == 1 ? "" : "s", offset);
    nbdkit_set_error(ENOSPC);
    return -1;
}

static int memory_pread(void *handle, void *buffer, uint32_t count, uint64_t offset, uint32_t flags)
{
    (void)handle;
    (void)flags;
    if (pages_read(&disk, buffer, count, offset) == 0)
        return 0;
    nbdkit_error("memory: cannot read %" PRIu32 " byte%s at offset %" PRIu64 ": %m", count,
                 count == 1 ? "" : "s", offset);
    return -1;
}

static int memory_pwrite(void *handle, const void *buffer, uint32_t count, uint64_t offset,
                         uint32_t flags)
{
    (void)handle;
    (void)flags;
    return pages_write(&disk, buffer, count, offset) == 0 ? 0 : fail_without_memory(count, offset);
}

static int memory_flush(void *handle, uint32_t flags)
{
    (void)handle;
    (void)flags;
    return 0;
}

static int memory_trim(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    (void)handle;
    (void)flags;
    return pages_clear(&disk, count, offset, true) == 0 ? 0 : fail_without_memory(count, offset);
}

/* Clearing is faster than a write in every case, so that a fast zero needs no check. */
static int memory_zero(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    bool may_trim = (flags & NBDKIT_FLAG_MAY_TRIM) != 0;

    (void)handle;
    return pages_clear(&disk, count, offset, may_trim) == 0 ? 0
                                                            : fail_without_memory(count, offset);
}

static int memory_extents(void *handle, uint32_t count, uint64_t offset, uint32_t flags,
                          struct nbdkit_extents *extents)
{
    uint64_t end = offset + count;

    (void)handle;
    while (offset < end) {
        uint64_t length_bytes;
        bool is_allocated = pages_find_extent(&disk, offset, end, &length_bytes);
        uint32_t type = is_allocated ? 0 : NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO;

        if (nbdkit_add_extent(extents, offset, length_bytes, type) == -1)
            return -1;
        if ((flags & NBDKIT_FLAG_REQ_ONE) != 0)
            break;
        offset += length_bytes;
    }
    return 0;
}

static struct nbdkit_plugin plugin = {
    .name = "memory",
    .longname = "nbdlab memory plugin",
    .version = NBDLAB_VERSION,
    .description = "A sparse RAM disk that is gone when the server ends",
    .unload = memory_unload,
    .config = memory_config,
    .config_complete = memory_config_complete,
    .dump_plugin = memory_dump_plugin,
    .config_help = "[size=]SIZE              (required) size of the disk, up to 2^63-1\n"
                   "allocator=sparse         take memory where the disk is written (the default)\n"
                   "allocator=malloc         take address space for all of the disk at start\n"
                   "allocator=malloc,mlock   take the memory, too, and never swap it out\n"
                   "allocator=zstd           compress what is written",
    .magic_config_key = "size",
    .get_ready = memory_get_ready,
    .after_fork = memory_after_fork,
    .open = memory_open,
    .get_size = memory_get_size,
    .can_multi_conn = answer_yes,
    .can_fast_zero = answer_yes,
    .can_fua = memory_can_fua,
    .can_cache = memory_can_cache,
    .pread = memory_pread,
    .pwrite = memory_pwrite,
    .flush = memory_flush,
    .trim = memory_trim,
    .zero = memory_zero,
    .extents = memory_extents,
    .errno_is_preserved = 1,
};
NBDKIT_REGISTER_PLUGIN(plugin)
