/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A plugin of API version 1, where data callbacks have no flags. Every call is recorded.
 */
#include "record.h"

/* Version 1 is what a plugin gets that does not ask for another. */
#include <nbdkit-plugin.h>

#define THREAD_MODEL NBDKIT_THREAD_MODEL_SERIALIZE_ALL_REQUESTS

static int api1_config(const char *key, const char *value)
{
    return record_set_parameter(key, value) == 1 ? 0 : -1;
}

static void *api1_open(int readonly)
{
    RECORD("open %d\n", readonly);
    return NBDKIT_HANDLE_NOT_NEEDED;
}

static void api1_close(void *handle)
{
    (void)handle;
    RECORD("close\n");
}

static int64_t api1_get_size(void *handle)
{
    (void)handle;
    return RECORD_BYTES;
}

static int api1_pread(void *handle, void *buffer, uint32_t count, uint64_t offset)
{
    (void)handle;
    RECORD("pread %u %ju\n", count, (uintmax_t)offset);
    memcpy(buffer, record_disk + offset, count);
    return 0;
}

static int api1_pwrite(void *handle, const void *buffer, uint32_t count, uint64_t offset)
{
    (void)handle;
    RECORD("pwrite %u %ju\n", count, (uintmax_t)offset);
    memcpy(record_disk + offset, buffer, count);
    return 0;
}

static int api1_flush(void *handle)
{
    (void)handle;
    RECORD("flush\n");
    return 0;
}

static int api1_trim(void *handle, uint32_t count, uint64_t offset)
{
    (void)handle;
    RECORD("trim %u %ju\n", count, (uintmax_t)offset);
    return 0;
}

static int api1_zero(void *handle, uint32_t count, uint64_t offset, int may_trim)
{
    (void)handle;
    RECORD("zero %u %ju may_trim=%d\n", count, (uintmax_t)offset, may_trim);
    if (offset == 0) {
        errno = EOPNOTSUPP;
        return -1;
    }
    memset(record_disk + offset, 0, count);
    return 0;
}

static struct nbdkit_plugin plugin = {
    .name = "api1",
    .config = api1_config,
    .open = api1_open,
    .close = api1_close,
    .get_size = api1_get_size,
    .pread = api1_pread,
    .pwrite = api1_pwrite,
    .flush = api1_flush,
    .trim = api1_trim,
    .zero = api1_zero,
    .errno_is_preserved = 1,
};

NBDKIT_REGISTER_PLUGIN(plugin)
