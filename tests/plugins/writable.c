/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A plugin that can read, write and flush, and leaves all else to the server's defaults and
 * emulation; errno_is_preserved is set. Every call is recorded; what lies beyond 1 MiB reads as
 * zeroes. Reads at some offsets fail:
 *   64 KiB   errno is ENOSPC, after a call of nbdkit_error
 *   128 KiB  nbdkit_set_error(EPERM), errno is ENOSPC
 *   192 KiB  errno is ETIMEDOUT, which NBD has no value for
 *   256 KiB  errno is 0
 */
#include "record.h"

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#define THREAD_MODEL NBDKIT_THREAD_MODEL_SERIALIZE_ALL_REQUESTS

static int64_t size_bytes = RECORD_BYTES;

static int writable_config(const char *key, const char *value)
{
    if (strcmp(key, "size") == 0)
        size_bytes = nbdkit_parse_size(value);
    else if (record_set_parameter(key, value) != 1)
        return -1;
    return size_bytes < 0 ? -1 : 0;
}

static void *writable_open(int readonly)
{
    (void)readonly;
    return NBDKIT_HANDLE_NOT_NEEDED;
}

static int64_t writable_get_size(void *handle)
{
    (void)handle;
    return size_bytes;
}

static int fail_at(uint64_t offset)
{
    errno = 0;
    switch (offset) {
    case 64 << 10:
        errno = ENOSPC;
        nbdkit_error("the disk is full: %m");
        return -1;
    case 128 << 10:
        nbdkit_set_error(EPERM);
        errno = ENOSPC;
        return -1;
    case 192 << 10:
        errno = ETIMEDOUT;
        return -1;
    case 256 << 10:
        return -1;
    default:
        return 0;
    }
}

static int writable_pread(void *handle, void *buffer, uint32_t count, uint64_t offset,
                          uint32_t flags)
{
    (void)handle;
    RECORD("pread %u %ju%s\n", count, (uintmax_t)offset, record_name_flags(flags));
    memset(buffer, 0, count);
    if (offset + count <= RECORD_BYTES)
        memcpy(buffer, record_disk + offset, count);
    return fail_at(offset);
}

static int writable_pwrite(void *handle, const void *buffer, uint32_t count, uint64_t offset,
                           uint32_t flags)
{
    (void)handle;
    RECORD("pwrite %u %ju%s\n", count, (uintmax_t)offset, record_name_flags(flags));
    if (offset + count <= RECORD_BYTES)
        memcpy(record_disk + offset, buffer, count);
    return 0;
}

static int writable_flush(void *handle, uint32_t flags)
{
    (void)handle;
    RECORD("flush%s\n", record_name_flags(flags));
    return 0;
}

static struct nbdkit_plugin plugin = {
    .name = "writable",
    .config = writable_config,
    .open = writable_open,
    .get_size = writable_get_size,
    .pread = writable_pread,
    .pwrite = writable_pwrite,
    .flush = writable_flush,
    .errno_is_preserved = 1,
};

NBDKIT_REGISTER_PLUGIN(plugin)
