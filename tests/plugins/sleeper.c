/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A disk that sleeps: a read at 64 KiB for 1000 seconds with nbdkit_nanosleep, a read at 128 KiB
 * until the server stops with nbdkit_stop_fd, one at 192 KiB for 300 ms, all others for a
 * millisecond. A write at 0 throws the client out, elsewhere politely; a trim stops the server.
 * Calls are recorded when they begin and end.
 */
#include "record.h"

#include <poll.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

static int sleeper_config(const char *key, const char *value)
{
    return record_set_parameter(key, value) == 1 ? 0 : -1;
}

static void *sleeper_open(int readonly)
{
    (void)readonly;
    return NBDKIT_HANDLE_NOT_NEEDED;
}

static void sleeper_close(void *handle)
{
    (void)handle;
    RECORD("close\n");
}

static void sleeper_unload(void)
{
    if (record_fd >= 0)
        RECORD("unload\n");
}

static int64_t sleeper_get_size(void *handle)
{
    (void)handle;
    return RECORD_BYTES;
}

static int sleep_at(uint64_t offset)
{
    struct pollfd stop = { .fd = nbdkit_stop_fd(), .events = POLLIN };

    if (offset == 64 << 10)
        return nbdkit_nanosleep(1000, 0);
    if (offset == 128 << 10)
        return poll(&stop, 1, -1) == 1 ? 0 : -1;
    return nbdkit_nanosleep(0, offset == 192 << 10 ? 300000000 : 1000000);
}

static int sleeper_pread(void *handle, void *buffer, uint32_t count, uint64_t offset,
                         uint32_t flags)
{
    (void)handle;
    (void)flags;
    memset(buffer, 0, count);
    RECORD("begin %ju\n", (uintmax_t)offset);
    int result = sleep_at(offset);
    RECORD("end %ju: %d\n", (uintmax_t)offset, result);
    return result;
}

static int sleeper_pwrite(void *handle, const void *buffer, uint32_t count, uint64_t offset,
                          uint32_t flags)
{
    (void)handle;
    (void)buffer;
    (void)count;
    (void)flags;
    nbdkit_disconnect(offset == 0);
    return 0;
}

static int sleeper_trim(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    (void)handle;
    (void)count;
    (void)offset;
    (void)flags;
    nbdkit_shutdown();
    return 0;
}

static struct nbdkit_plugin plugin = {
    .name = "sleeper",
    .config = sleeper_config,
    .unload = sleeper_unload,
    .open = sleeper_open,
    .close = sleeper_close,
    .get_size = sleeper_get_size,
    .pread = sleeper_pread,
    .pwrite = sleeper_pwrite,
    .trim = sleeper_trim,
};

NBDKIT_REGISTER_PLUGIN(plugin)
