/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A plugin with every callback. Parameters say what the can_ callbacks answer and what zero does:
 *   log=FILE              where every call is recorded
 *   can_CALLBACK=NUMBER   the answer of can_write and so on; -1 is an error
 *   zero=ERRNO            zero fails with this number, 0 for success; by nbdkit_set_error
 *   pwrite=ERRNO          pwrite the same, by errno
 *   extents=MODE          good, gap, late, none, or wild for types that do not exist
 */
#include "record.h"

#include <stdlib.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

static int zero_errno, pwrite_errno;
static const char *extents_mode = "good";

static struct answer {
    const char *name;
    int value;
} answers[] = {
    { "can_write", 1 },      { "can_flush", 1 },     { "can_trim", 1 }, { "can_zero", 1 },
    { "can_fast_zero", 1 },  { "can_extents", 1 },   { "can_fua", 2 },  { "can_cache", 2 },
    { "can_multi_conn", 1 }, { "is_rotational", 1 },
};

static struct answer *find_answer(const char *name)
{
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        if (strcmp(answers[i].name, name) == 0)
            return &answers[i];
    return NULL;
}

static int answer(const char *name)
{
    int value = find_answer(name)->value;

    RECORD("%s\n", name);
    if (value == -1)
        nbdkit_error("told to fail in %s", name);
    return value;
}

static int full_config(const char *key, const char *value)
{
    struct answer *told = find_answer(key);

    if (told != NULL)
        told->value = atoi(value);
    else if (strcmp(key, "zero") == 0)
        zero_errno = atoi(value);
    else if (strcmp(key, "pwrite") == 0)
        pwrite_errno = atoi(value);
    else if (strcmp(key, "extents") == 0)
        extents_mode = value;
    else if (record_set_parameter(key, value) != 1)
        return -1;
    return 0;
}

static void *full_open(int readonly)
{
    RECORD("open %d %s\n", readonly, nbdkit_export_name());
    return NBDKIT_HANDLE_NOT_NEEDED;
}

static void full_close(void *handle)
{
    (void)handle;
    RECORD("close\n");
}

static int64_t full_get_size(void *handle)
{
    (void)handle;
    RECORD("get_size\n");
    return RECORD_BYTES;
}

static int full_block_size(void *handle, uint32_t *minimum, uint32_t *preferred, uint32_t *maximum)
{
    (void)handle;
    RECORD("block_size\n");
    *minimum = 1;
    *preferred = 65536;
    *maximum = 0xffffffff;
    return 0;
}

#define DEFINE_ANSWER(name)                                                                        \
    static int full_##name(void *handle)                                                           \
    {                                                                                              \
        (void)handle;                                                                              \
        return answer(#name);                                                                      \
    }

DEFINE_ANSWER(can_write)
DEFINE_ANSWER(can_flush)
DEFINE_ANSWER(can_trim)
DEFINE_ANSWER(can_zero)
DEFINE_ANSWER(can_fast_zero)
DEFINE_ANSWER(can_extents)
DEFINE_ANSWER(can_fua)
DEFINE_ANSWER(can_cache)
DEFINE_ANSWER(can_multi_conn)
DEFINE_ANSWER(is_rotational)

static int full_pread(void *handle, void *buffer, uint32_t count, uint64_t offset, uint32_t flags)
{
    (void)handle;
    RECORD("pread %u %ju%s\n", count, (uintmax_t)offset, record_name_flags(flags));
    memcpy(buffer, record_disk + offset, count);
    return 0;
}

static int full_pwrite(void *handle, const void *buffer, uint32_t count, uint64_t offset,
                       uint32_t flags)
{
    (void)handle;
    RECORD("pwrite %u %ju%s\n", count, (uintmax_t)offset, record_name_flags(flags));
    if (pwrite_errno != 0) {
        errno = pwrite_errno;
        return -1;
    }
    memcpy(record_disk + offset, buffer, count);
    return 0;
}

static int full_flush(void *handle, uint32_t flags)
{
    (void)handle;
    RECORD("flush%s\n", record_name_flags(flags));
    return 0;
}

static int full_trim(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    (void)handle;
    RECORD("trim %u %ju%s\n", count, (uintmax_t)offset, record_name_flags(flags));
    return 0;
}

static int full_zero(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    (void)handle;
    RECORD("zero %u %ju%s\n", count, (uintmax_t)offset, record_name_flags(flags));
    if (zero_errno == 0) {
        memset(record_disk + offset, 0, count);
        return 0;
    }
    nbdkit_set_error(zero_errno);
    return -1;
}

static int full_cache(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    (void)handle;
    RECORD("cache %u %ju%s\n", count, (uintmax_t)offset, record_name_flags(flags));
    return 0;
}

static int full_extents(void *handle, uint32_t count, uint64_t offset, uint32_t flags,
                        struct nbdkit_extents *extents)
{
    (void)handle;
    RECORD("extents %u %ju%s\n", count, (uintmax_t)offset, record_name_flags(flags));
    if (strcmp(extents_mode, "none") == 0)
        return 0;
    if (strcmp(extents_mode, "wild") == 0)
        return nbdkit_add_extent(extents, 0, RECORD_BYTES, 0xff);
    if (strcmp(extents_mode, "late") == 0)
        return nbdkit_add_extent(extents, offset + 1, 512, 0);
    if (nbdkit_add_extent(extents, 0, 65536, 0) == -1)
        return -1;
    uint64_t next = strcmp(extents_mode, "gap") == 0 ? 131072 : 65536;
    return nbdkit_add_extent(extents, next, RECORD_BYTES, NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO);
}

static int full_list_exports(int readonly, int is_tls, struct nbdkit_exports *exports)
{
    RECORD("list_exports %d %d\n", readonly, is_tls);
    if (nbdkit_add_export(exports, "one", "the first") == -1)
        return -1;
    return nbdkit_use_default_export(exports);
}

static const char *full_default_export(int readonly, int is_tls)
{
    RECORD("default_export %d %d\n", readonly, is_tls);
    return nbdkit_strdup_intern("the default");
}

static const char *full_export_description(void *handle)
{
    (void)handle;
    RECORD("export_description\n");
    return nbdkit_printf_intern("describes '%s'", nbdkit_export_name());
}

static struct nbdkit_plugin plugin = {
    .name = "full",
    .longname = "the full plugin",
    .version = "7.8.9",
    .description = "has every callback",
    .config = full_config,
    .config_help = "log=FILE   where every call is recorded",
    .open = full_open,
    .close = full_close,
    .get_size = full_get_size,
    .block_size = full_block_size,
    .can_write = full_can_write,
    .can_flush = full_can_flush,
    .can_trim = full_can_trim,
    .can_zero = full_can_zero,
    .can_fast_zero = full_can_fast_zero,
    .can_extents = full_can_extents,
    .can_fua = full_can_fua,
    .can_cache = full_can_cache,
    .can_multi_conn = full_can_multi_conn,
    .is_rotational = full_is_rotational,
    .pread = full_pread,
    .pwrite = full_pwrite,
    .flush = full_flush,
    .trim = full_trim,
    .zero = full_zero,
    .cache = full_cache,
    .extents = full_extents,
    .list_exports = full_list_exports,
    .default_export = full_default_export,
    .export_description = full_export_description,
    .errno_is_preserved = 1,
};

NBDKIT_REGISTER_PLUGIN(plugin)
