/* SPDX-License-Identifier: BSD-3-Clause */

/* A C plugin that ends connections and the server itself: a disk of zeroes in which a read of a
 * chosen byte throws the client out or shuts the server down. Compile it and try it:
 *
 *   cc -I include -fPIC -shared -o /tmp/disconnect.so examples/disconnect.c
 *   ./nbdlab -U - /tmp/disconnect.so soft=4K \
 *       --run 'qemu-io -f raw -r -c "read 0 1k" -c "read 4k 1k" -c "read 0 1k" "$uri"'
 *
 * Parameters, each the offset of the byte that does it; none is set at the start:
 *   soft=OFFSET      nbdkit_disconnect(0): this read succeeds, later ones get ESHUTDOWN
 *   forced=OFFSET    nbdkit_disconnect(1): the connection is cut, this read gets no answer
 *   shutdown=OFFSET  nbdkit_shutdown(): this read succeeds, then the server ends
 *
 * Installed headers are found without -I; "pkg-config --cflags nbdlab" knows where they are. */

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include <string.h>

/* All three functions may be called from any thread that serves a callback. */
#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

#define SIZE_BYTES (16 * 1024 * 1024)

static int64_t soft_offset = -1;
static int64_t forced_offset = -1;
static int64_t shutdown_offset = -1;

static int disconnect_config(const char *key, const char *value)
{
    int64_t offset = nbdkit_parse_size(value);

    if (offset == -1)
        return -1;
    if (strcmp(key, "soft") == 0)
        soft_offset = offset;
    else if (strcmp(key, "forced") == 0)
        forced_offset = offset;
    else if (strcmp(key, "shutdown") == 0)
        shutdown_offset = offset;
    else {
        nbdkit_error("unknown parameter '%s': it takes soft, forced and shutdown", key);
        return -1;
    }
    return 0;
}

static void *disconnect_open(int readonly)
{
    (void)readonly;
    return NBDKIT_HANDLE_NOT_NEEDED;
}

/* After a disconnect of either kind, close is the connection's next callback that begins. */
static void disconnect_close(void *handle)
{
    (void)handle;
    nbdkit_debug("a client has left");
}

static int64_t disconnect_get_size(void *handle)
{
    (void)handle;
    return SIZE_BYTES;
}

static int is_touched(int64_t byte, uint32_t count, uint64_t offset)
{
    return byte >= 0 && (uint64_t)byte >= offset && (uint64_t)byte - offset < count;
}

/* The calls only ask; this function goes on and returns as usual, and then it happens. */
static int disconnect_pread(void *handle, void *buffer, uint32_t count, uint64_t offset,
                            uint32_t flags)
{
    (void)handle;
    (void)flags;
    if (is_touched(soft_offset, count, offset))
        nbdkit_disconnect(0);
    if (is_touched(forced_offset, count, offset))
        nbdkit_disconnect(1);
    if (is_touched(shutdown_offset, count, offset))
        nbdkit_shutdown();
    memset(buffer, 0, count);
    return 0;
}

static struct nbdkit_plugin plugin = {
    .name = "disconnect",
    .longname = "disconnect example",
    .config = disconnect_config,
    .config_help = "soft=OFFSET      a read of this byte disconnects the client gently\n"
                   "forced=OFFSET    a read of this byte cuts the connection\n"
                   "shutdown=OFFSET  a read of this byte ends the server",
    .open = disconnect_open,
    .close = disconnect_close,
    .get_size = disconnect_get_size,
    .pread = disconnect_pread,
};
NBDKIT_REGISTER_PLUGIN(plugin)
