/* SPDX-License-Identifier: BSD-3-Clause */

/* A RAM disk in C: empty at the start, shared by all clients, gone when the server ends. Try it:
 *
 *   ./nbdlab -U - cc examples/ramdisk.c 32M --run 'nbdcopy /etc/services "$uri"; nbdinfo "$uri"'
 *
 * Parameter: [size=]SIZE, 64M if it is left out. */

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Callbacks run in several threads at once, so what they share needs a lock. */
#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

static int64_t size_bytes = 64 << 20;
static char *disk;
static pthread_rwlock_t disk_lock = PTHREAD_RWLOCK_INITIALIZER;

static int ramdisk_config(const char *key, const char *value)
{
    if (strcmp(key, "size") != 0) {
        nbdkit_error("unknown parameter '%s': this disk takes size=SIZE", key);
        return -1;
    }
    /* It says itself what is wrong with a size. */
    size_bytes = nbdkit_parse_size(value);
    return size_bytes == -1 ? -1 : 0;
}

static int ramdisk_get_ready(void)
{
    disk = calloc(1, size_bytes > 0 ? (size_t)size_bytes : 1);
    if (disk == NULL)
        nbdkit_error("no memory for a disk of that size");
    return disk == NULL ? -1 : 0;
}

static void ramdisk_unload(void)
{
    free(disk);
}

/* This disk is the same for everybody, so that it keeps nothing per connection. */
static void *ramdisk_open(int readonly)
{
    (void)readonly;
    return NBDKIT_HANDLE_NOT_NEEDED;
}

static int64_t ramdisk_get_size(void *handle)
{
    (void)handle;
    return size_bytes;
}

/* All clients see what one has written, so one client may use several connections. */
static int ramdisk_can_multi_conn(void *handle)
{
    (void)handle;
    return 1;
}

/* The server has checked that the range is within the disk. */
static int ramdisk_pread(void *handle, void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
    (void)handle;
    (void)flags;
    pthread_rwlock_rdlock(&disk_lock);
    memcpy(buf, disk + offset, count);
    pthread_rwlock_unlock(&disk_lock);
    return 0;
}

static int ramdisk_pwrite(void *handle, const void *buf, uint32_t count, uint64_t offset,
                          uint32_t flags)
{
    (void)handle;
    (void)flags;
    pthread_rwlock_wrlock(&disk_lock);
    memcpy(disk + offset, buf, count);
    pthread_rwlock_unlock(&disk_lock);
    return 0;
}

static int ramdisk_zero(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    (void)handle;
    (void)flags;
    pthread_rwlock_wrlock(&disk_lock);
    memset(disk + offset, 0, count);
    pthread_rwlock_unlock(&disk_lock);
    return 0;
}

/* Memory needs no flush; that there is one tells clients that flushing works. */
static int ramdisk_flush(void *handle, uint32_t flags)
{
    (void)handle;
    (void)flags;
    return 0;
}

static struct nbdkit_plugin plugin = {
    .name = "ramdisk",
    .config = ramdisk_config,
    .config_help = "[size=]SIZE  size of the disk, 64M if it is left out",
    .magic_config_key = "size",
    .get_ready = ramdisk_get_ready,
    .unload = ramdisk_unload,
    .open = ramdisk_open,
    .get_size = ramdisk_get_size,
    .can_multi_conn = ramdisk_can_multi_conn,
    .pread = ramdisk_pread,
    .pwrite = ramdisk_pwrite,
    .zero = ramdisk_zero,
    .flush = ramdisk_flush,
};

NBDKIT_REGISTER_PLUGIN(plugin)
