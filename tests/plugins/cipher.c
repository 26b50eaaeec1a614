/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A disk of 8 MiB that is encrypted in memory. Writes change the caller's buffer in place, store
 * it and change it back, but for clients of the export "careless", who leave it as it is. There is
 * no zero callback. Nor is anything else that the server lends left alone: parameters and export
 * names are in capitals afterwards.
 */
#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

enum { SIZE_BYTES = 8 << 20, ALIGNMENT_BYTES = 16, KEY = 0x5a };

static unsigned char disk[SIZE_BYTES];
static char careful, careless;

/* What was lent is const in the header only. */
static void *unprotect(const void *lent)
{
    return (void *)(uintptr_t)lent;
}

static void spoil(const char *lent)
{
    for (char *text = unprotect(lent); *text; text++)
        *text = (char)toupper((unsigned char)*text);
}

static void turn(unsigned char *bytes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        bytes[i] ^= KEY;
}

static void cipher_load(void)
{
    memset(disk, KEY, sizeof disk);
}

static int cipher_config(const char *key, const char *value)
{
    spoil(key);
    spoil(value);
    return 0;
}

static void *cipher_open(int readonly)
{
    const char *name = nbdkit_export_name();
    bool is_careless = name && strcmp(name, "careless") == 0;

    (void)readonly;
    if (!name)
        return NULL;
    spoil(name);
    return is_careless ? &careless : &careful;
}

static int64_t cipher_get_size(void *handle)
{
    (void)handle;
    return SIZE_BYTES;
}

static int check_alignment(const void *buffer)
{
    if ((uintptr_t)buffer % ALIGNMENT_BYTES == 0)
        return 0;
    nbdkit_error("the buffer is not aligned");
    return -1;
}

static int cipher_pread(void *handle, void *buffer, uint32_t count, uint64_t offset, uint32_t flags)
{
    (void)handle, (void)flags;
    memcpy(buffer, disk + offset, count);
    turn(buffer, count);
    return check_alignment(buffer);
}

static int cipher_pwrite(void *handle, const void *buffer, uint32_t count, uint64_t offset,
                         uint32_t flags)
{
    (void)flags;
    turn(unprotect(buffer), count);
    memcpy(disk + offset, buffer, count);
    if (handle == &careful)
        turn(unprotect(buffer), count);
    return check_alignment(buffer);
}

static int cipher_can_cache(void *handle)
{
    (void)handle;
    return NBDKIT_CACHE_EMULATE;
}

static struct nbdkit_plugin plugin = {
    .name = "cipher",
    .load = cipher_load,
    .config = cipher_config,
    .open = cipher_open,
    .get_size = cipher_get_size,
    .can_cache = cipher_can_cache,
    .pread = cipher_pread,
    .pwrite = cipher_pwrite,
};

NBDKIT_REGISTER_PLUGIN(plugin)
