/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The least that a plugin can be, with errno_is_preserved unset. Reads at some offsets fail:
 *   64 KiB   errno is ENOSPC, nbdkit_set_error was not called
 *   128 KiB  nbdkit_set_error(EPERM), then errno is ENOSPC
 *   192 KiB  nbdkit_set_error(EPERM), but the read succeeds
 */
#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>
#include <string.h>

#define THREAD_MODEL NBDKIT_THREAD_MODEL_SERIALIZE_ALL_REQUESTS

static void *bare_open(int readonly)
{
    (void)readonly;
    return NBDKIT_HANDLE_NOT_NEEDED;
}

static int64_t bare_get_size(void *handle)
{
    (void)handle;
    return 1 << 20;
}

static int bare_pread(void *handle, void *buffer, uint32_t count, uint64_t offset, uint32_t flags)
{
    (void)handle;
    (void)flags;
    memset(buffer, 'b', count);
    if (offset == 128 << 10 || offset == 192 << 10)
        nbdkit_set_error(EPERM);
    errno = ENOSPC;
    return offset == 64 << 10 || offset == 128 << 10 ? -1 : 0;
}

static struct nbdkit_plugin plugin = {
    .name = "bare",
    .open = bare_open,
    .get_size = bare_get_size,
    .pread = bare_pread,
};

NBDKIT_REGISTER_PLUGIN(plugin)
