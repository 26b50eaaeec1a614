/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A disk that does what it is told, the C sibling of disks/told.sh.
 *   log=FILE       every callback appends a line when it begins and one when it ends
 *   gate=FIFO      a read at 128 KiB waits for a line from it
 *   when=METHOD    the callback that is told: for the export "told", a read or write at 64 KiB
 *   do=ACTION      shutdown, soft or forced
 *   result=WORD    ok (the default) or fail, with ENOSPC
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

enum { DISK_BYTES = 1 << 20, TOLD_OFFSET = 64 << 10, GATE_OFFSET = 128 << 10 };

struct handle {
    int number;
    int is_told;
};

static const char *gate_path, *told_method = "", *told_action = "", *told_result = "ok";
static int log_fd = -1;
static atomic_int next_number;

static void note(const char *moment, const char *method, const struct handle *handle)
{
    if (handle != NULL)
        dprintf(log_fd, "%s %s <%s-%d>\n", moment, method, handle->is_told ? "told" : "other",
                handle->number);
    else
        dprintf(log_fd, "%s %s <>\n", moment, method);
}

static int act(const char *method)
{
    if (strcmp(method, told_method) != 0)
        return 0;
    if (strcmp(told_action, "shutdown") == 0)
        nbdkit_shutdown();
    else if (strcmp(told_action, "soft") == 0)
        nbdkit_disconnect(0);
    else
        nbdkit_disconnect(1);
    if (strcmp(told_result, "ok") == 0)
        return 0;
    nbdkit_error("told to fail");
    nbdkit_set_error(ENOSPC);
    return -1;
}

static int serve(const char *method, const struct handle *handle, int is_here)
{
    note("begin", method, handle);
    int result = handle->is_told && is_here ? act(method) : 0;
    note("end", method, handle);
    return result;
}

static int told_config(const char *key, const char *value)
{
    if (strcmp(key, "log") == 0)
        log_fd = open(value, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    else if (strcmp(key, "gate") == 0)
        gate_path = value;
    else if (strcmp(key, "when") == 0)
        told_method = value;
    else if (strcmp(key, "do") == 0)
        told_action = value;
    else if (strcmp(key, "result") == 0)
        told_result = value;
    else {
        nbdkit_error("unknown parameter %s", key);
        return -1;
    }
    return 0;
}

static int told_get_ready(void)
{
    note("begin", "get_ready", NULL);
    int result = act("get_ready");
    note("end", "get_ready", NULL);
    return result;
}

static int told_after_fork(void)
{
    note("begin", "after_fork", NULL);
    int result = act("after_fork");
    note("end", "after_fork", NULL);
    return result;
}

static int told_preconnect(int readonly)
{
    (void)readonly;
    return act("preconnect");
}

static void told_cleanup(void)
{
    note("begin", "cleanup", NULL);
    note("end", "cleanup", NULL);
}

static void told_unload(void)
{
    if (log_fd < 0)
        return;
    note("begin", "unload", NULL);
    note("end", "unload", NULL);
}

static void *told_open(int readonly)
{
    (void)readonly;
    struct handle *handle = malloc(sizeof *handle);
    if (handle == NULL)
        return NULL;
    handle->number = ++next_number;
    handle->is_told = strcmp(nbdkit_export_name(), "told") == 0;
    note("begin", "open", NULL);
    if (handle->is_told && act("open") == -1) {
        free(handle);
        return NULL;
    }
    note("end", "open", handle);
    return handle;
}

static void told_close(void *handle)
{
    serve("close", handle, 1);
    free(handle);
}

static int64_t told_get_size(void *handle)
{
    return serve("get_size", handle, 1) == -1 ? -1 : DISK_BYTES;
}

static void wait_at_gate(void)
{
    char line[8];
    int gate_fd = open(gate_path, O_RDONLY | O_CLOEXEC);
    if (read(gate_fd, line, sizeof line) < 0)
        abort();
    close(gate_fd);
}

static int told_pread(void *handle, void *buffer, uint32_t count, uint64_t offset, uint32_t flags)
{
    (void)flags;
    note("begin", "pread", handle);
    memset(buffer, 0, count);
    if (offset == GATE_OFFSET)
        wait_at_gate();
    const struct handle *mine = handle;
    int result = mine->is_told && offset == TOLD_OFFSET ? act("pread") : 0;
    note("end", "pread", handle);
    return result;
}

static int told_pwrite(void *handle, const void *buffer, uint32_t count, uint64_t offset,
                       uint32_t flags)
{
    (void)buffer;
    (void)count;
    (void)flags;
    return serve("pwrite", handle, offset == TOLD_OFFSET);
}

static int told_flush(void *handle, uint32_t flags)
{
    (void)flags;
    return serve("flush", handle, 1);
}

static struct nbdkit_plugin plugin = {
    .name = "told",
    .config = told_config,
    .get_ready = told_get_ready,
    .after_fork = told_after_fork,
    .cleanup = told_cleanup,
    .unload = told_unload,
    .preconnect = told_preconnect,
    .open = told_open,
    .close = told_close,
    .get_size = told_get_size,
    .pread = told_pread,
    .pwrite = told_pwrite,
    .flush = told_flush,
    .errno_is_preserved = 1,
};

NBDKIT_REGISTER_PLUGIN(plugin)
