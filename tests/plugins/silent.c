/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A plugin that fails without a word. The export "closed" cannot be opened, and for "unread" a
 * function of the server's has the word.
 * Reads succeed with 5 for a result, no flush does. The disk has 1000 bytes, and blocks of 512.
 */
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

static void *silent_open(int readonly)
{
    const char *name = nbdkit_export_name();

    (void)readonly;
    if (name && strcmp(name, "unread") == 0 && nbdkit_parse_size("much") < 0)
        return NULL;
    return name && strcmp(name, "closed") == 0 ? NULL : NBDKIT_HANDLE_NOT_NEEDED;
}

static int64_t silent_get_size(void *handle)
{
    (void)handle;
    return 1000;
}

static int silent_block_size(void *handle, uint32_t *minimum, uint32_t *preferred,
                             uint32_t *maximum)
{
    (void)handle;
    *minimum = *preferred = 512;
    *maximum = 65536;
    return 0;
}

static int silent_pread(void *handle, void *buffer, uint32_t count, uint64_t offset, uint32_t flags)
{
    (void)handle;
    (void)offset;
    (void)flags;
    memset(buffer, 'x', count);
    return 5;
}

static int silent_flush(void *handle, uint32_t flags)
{
    (void)handle;
    (void)flags;
    return -1;
}

static struct nbdkit_plugin plugin = {
    .name = "silent",
    .open = silent_open,
    .get_size = silent_get_size,
    .block_size = silent_block_size,
    .pread = silent_pread,
    .flush = silent_flush,
};

NBDKIT_REGISTER_PLUGIN(plugin)
