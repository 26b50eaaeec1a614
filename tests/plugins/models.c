/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Counts how many calls run at the same time. model=MODEL names the thread model; a read at 64 KiB
 * waits until another call is in the plugin as well (or gives up with EIO after 20 seconds). At
 * unload the maxima go to log=FILE: calls, calls of one handle, open handles.
 */
#include "record.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

enum { MEETING_OFFSET = 64 << 10, PATIENCE_S = 20 };

struct handle {
    int calls; /* under lock */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int calls, calls_max, handle_calls_max, handles, handles_max; /* under lock */
static int model = NBDKIT_THREAD_MODEL_PARALLEL;

static void raise_to(int *maximum, int value)
{
    if (value > *maximum)
        *maximum = value;
}

static int models_config(const char *key, const char *value)
{
    static const char *const names[] = { "serialize_connections", "serialize_all_requests",
                                         "serialize_requests", "parallel" };

    if (strcmp(key, "model") != 0)
        return record_set_parameter(key, value) == 1 ? 0 : -1;
    for (model = 0; strcmp(names[model], value) != 0;)
        model++;
    return 0;
}

static int models_thread_model(void)
{
    return model;
}

static void models_unload(void)
{
    if (record_fd >= 0)
        RECORD("calls %d, of one handle %d, handles %d\n", calls_max, handle_calls_max,
               handles_max);
}

static void *models_open(int readonly)
{
    (void)readonly;
    pthread_mutex_lock(&lock);
    raise_to(&handles_max, ++handles);
    pthread_mutex_unlock(&lock);
    return calloc(1, sizeof(struct handle));
}

static void models_close(void *handle)
{
    pthread_mutex_lock(&lock);
    handles--;
    pthread_mutex_unlock(&lock);
    free(handle);
}

static int64_t models_get_size(void *handle)
{
    (void)handle;
    return RECORD_BYTES;
}

/* Waits, with the lock held, until a second call is there. */
static int meet(void)
{
    struct timespec deadline;

    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += PATIENCE_S;
    while (calls_max < 2)
        if (pthread_cond_timedwait(&changed, &lock, &deadline) != 0)
            return -1;
    return 0;
}

static int models_pread(void *opaque, void *buffer, uint32_t count, uint64_t offset, uint32_t flags)
{
    struct handle *handle = opaque;
    const struct timespec while_s = { .tv_nsec = 1000000 };

    (void)flags;
    memset(buffer, 0, count);
    pthread_mutex_lock(&lock);
    raise_to(&calls_max, ++calls);
    raise_to(&handle_calls_max, ++handle->calls);
    pthread_cond_broadcast(&changed);
    int result = offset == MEETING_OFFSET ? meet() : 0;
    pthread_mutex_unlock(&lock);
    nanosleep(&while_s, NULL);
    pthread_mutex_lock(&lock);
    calls--;
    handle->calls--;
    pthread_mutex_unlock(&lock);
    return result;
}

static struct nbdkit_plugin plugin = {
    .name = "models",
    .config = models_config,
    .thread_model = models_thread_model,
    .unload = models_unload,
    .open = models_open,
    .close = models_close,
    .get_size = models_get_size,
    .pread = models_pread,
};

NBDKIT_REGISTER_PLUGIN(plugin)
