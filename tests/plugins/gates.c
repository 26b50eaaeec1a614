/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A disk whose reads take as long as their neighbours want. By the megabyte of the offset:
 * 0 is quick; 1 waits until another call begins, and its data is how many nanoseconds that took;
 * 2 and 3 wait for each other; 4 waits until the file release=PATH is there; 5 throws the client
 * out. What never comes is waited for ten seconds, and is an error. Writes check that they get
 * what the disk expects: bytes of the value of the block's number, at an address as malloc's.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

enum { MEGABYTE = 1 << 20, BOUND_MS = 10000, ALIGNMENT = 16 };

static _Atomic unsigned begun;   /* calls */
static _Atomic unsigned here[2]; /* calls in megabyte 2 and 3, of all times */
static const char *release_path = "";
static int model = NBDKIT_THREAD_MODEL_PARALLEL;

static int gates_config(const char *key, const char *value)
{
    if (strcmp(key, "release") == 0)
        release_path = value;
    else if (strcmp(key, "model") == 0)
        model = atoi(value);
    else
        return -1;
    return 0;
}

static int gates_thread_model(void)
{
    return model;
}

static void *gates_open(int readonly)
{
    (void)readonly;
    return NBDKIT_HANDLE_NOT_NEEDED;
}

static int64_t gates_get_size(void *handle)
{
    (void)handle;
    return 6 * MEGABYTE;
}

static int64_t read_clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* Has the counter changed; or, without one, is there the file? */
static int is_time(const _Atomic unsigned *counter, unsigned from)
{
    return counter ? atomic_load(counter) != from : access(release_path, F_OK) == 0;
}

/* Returns how long it took, in nanoseconds, or -1. It looks often: that time is what counts. */
static int64_t wait_until(const _Atomic unsigned *counter, unsigned from)
{
    int64_t begin_ns = read_clock_ns();
    struct timespec pause = { .tv_nsec = 50000 };

    while (!is_time(counter, from)) {
        if (read_clock_ns() - begin_ns > BOUND_MS * INT64_C(1000000)) {
            nbdkit_error("nobody came");
            return -1;
        }
        nanosleep(&pause, NULL);
    }
    return read_clock_ns() - begin_ns;
}

static int64_t wait_at(unsigned megabyte, unsigned call)
{
    switch (megabyte) {
    case 1:
        return wait_until(&begun, call);
    case 2:
    case 3:
        atomic_fetch_add(&here[megabyte - 2], 1);
        return wait_until(&here[3 - megabyte], 0);
    case 4:
        return wait_until(NULL, 0);
    case 5:
        nbdkit_disconnect(1);
        return 0;
    default:
        return 0;
    }
}

static int gates_pread(void *handle, void *buffer, uint32_t count, uint64_t offset, uint32_t flags)
{
    unsigned call = atomic_fetch_add(&begun, 1) + 1;
    int64_t took_ns = wait_at((unsigned)(offset / MEGABYTE), call);

    (void)handle;
    (void)flags;
    memset(buffer, (int)(offset / 512 % 251), count);
    if (offset / MEGABYTE == 1)
        memcpy(buffer, &took_ns, sizeof took_ns);
    return took_ns < 0 ? -1 : 0;
}

static int gates_pwrite(void *handle, const void *buffer, uint32_t count, uint64_t offset,
                        uint32_t flags)
{
    const unsigned char *bytes = buffer;

    (void)handle;
    (void)flags;
    atomic_fetch_add(&begun, 1);
    if ((uintptr_t)buffer % ALIGNMENT) {
        nbdkit_error("a buffer at %p", buffer);
        return -1;
    }
    for (uint32_t i = 0; i < count; i++)
        if (bytes[i] != offset / 512 % 251) {
            nbdkit_error("byte %u is %u", i, bytes[i]);
            return -1;
        }
    return 0;
}

static struct nbdkit_plugin plugin = {
    .name = "gates",
    .config = gates_config,
    .thread_model = gates_thread_model,
    .open = gates_open,
    .get_size = gates_get_size,
    .pread = gates_pread,
    .pwrite = gates_pwrite,
};

NBDKIT_REGISTER_PLUGIN(plugin)
