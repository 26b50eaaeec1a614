/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Crashes: in=CALLBACK (config_complete, after_fork, open, can_write, pread, thread) and how=SEGV,
 * FPE, ABRT, overflow (of the stack), or fork (a child crashes, and nothing happens to the server).
 */
#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define THREAD_MODEL NBDKIT_THREAD_MODEL_SERIALIZE_ALL_REQUESTS

static const char *where = "";
static const char *how = "SEGV";
static volatile int zero;

static int overflow(volatile char *above)
{
    volatile char room[1024];

    room[0] = *above;
    return *above ? overflow(room) + room[0] : 0;
}

static void fault(void)
{
    if (strcmp(how, "overflow") == 0)
        overflow("x");
    if (strcmp(how, "ABRT") == 0)
        abort();
    if (strcmp(how, "FPE") == 0)
        raise(SIGFPE); /* not each machine traps a division by zero */
    *(volatile int *)(intptr_t)zero = 1;
}

static void *run_thread(void *argument)
{
    fault();
    return argument;
}

static void crash_in(const char *callback)
{
    if (strcmp(where, callback) != 0)
        return;
    if (strcmp(how, "fork") != 0)
        fault();
    pid_t child = fork();
    if (child == 0)
        fault();
    waitpid(child, NULL, 0);
}

static int crasher_config(const char *key, const char *value)
{
    if (strcmp(key, "in") == 0)
        where = value;
    else
        how = value;
    return 0;
}

static int crasher_config_complete(void)
{
    crash_in("config_complete");
    return 0;
}

static int crasher_after_fork(void)
{
    crash_in("after_fork");
    return 0;
}

static void *crasher_open(int readonly)
{
    (void)readonly;
    crash_in("open");
    return NBDKIT_HANDLE_NOT_NEEDED;
}

static int64_t crasher_get_size(void *handle)
{
    (void)handle;
    return 1 << 20;
}

static int crasher_can_write(void *handle)
{
    (void)handle;
    crash_in("can_write");
    return 0;
}

static int crasher_pread(void *handle, void *buffer, uint32_t count, uint64_t offset,
                         uint32_t flags)
{
    pthread_t thread;

    (void)handle;
    (void)offset;
    (void)flags;
    memset(buffer, 0, count);
    crash_in("pread");
    if (strcmp(where, "thread") == 0 && pthread_create(&thread, NULL, run_thread, NULL) == 0)
        pthread_join(thread, NULL);
    return 0;
}

static struct nbdkit_plugin plugin = {
    .name = "crasher",
    .config = crasher_config,
    .config_complete = crasher_config_complete,
    .after_fork = crasher_after_fork,
    .open = crasher_open,
    .get_size = crasher_get_size,
    .can_write = crasher_can_write,
    .pread = crasher_pread,
};

NBDKIT_REGISTER_PLUGIN(plugin)
