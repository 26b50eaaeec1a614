/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A read logs as many errors of 1 KiB as its length has bytes, "N xxx...", counted on from 1.
 */
#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>
#include <stdlib.h>
#include <string.h>

#define THREAD_MODEL NBDKIT_THREAD_MODEL_SERIALIZE_ALL_REQUESTS

enum { MESSAGE_BYTES = 1024 };

static unsigned message_count;

static void *chatter_open(int readonly)
{
    (void)readonly;
    return NBDKIT_HANDLE_NOT_NEEDED;
}

static int64_t chatter_get_size(void *handle)
{
    (void)handle;
    return 1 << 20;
}

static int chatter_pread(void *handle, void *buffer, uint32_t count, uint64_t offset,
                         uint32_t flags)
{
    char filler[MESSAGE_BYTES];

    (void)handle;
    (void)offset;
    (void)flags;
    memset(filler, 'x', sizeof filler);
    for (uint32_t i = 0; i < count; i++)
        nbdkit_error("%u %.*s", ++message_count, MESSAGE_BYTES, filler);
    memset(buffer, 0, count);
    return 0;
}

static struct nbdkit_plugin plugin = {
    .name = "chatter",
    .open = chatter_open,
    .get_size = chatter_get_size,
    .pread = chatter_pread,
};

NBDKIT_REGISTER_PLUGIN(plugin)
