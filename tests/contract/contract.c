/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The disk of README.md, in C.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

enum {
    DISK_BYTES = 1 << 20,
    TOLD_OFFSET = 64 << 10,
    GATE_OFFSET = 128 << 10,
    ERRNO_OFFSET = 256 << 10,
    ERRNO_MAX = 133,
    HOLE_OFFSET = 512 << 10,
    ZERO_OFFSET = 768 << 10,
};

/* One callback that runs: its name, its connection's export or NULL, and where the request begins.
 */
struct step {
    const char *method;
    const char *export_name;
    uint64_t offset;
};

static int log_fd = -1;
static char disk[DISK_BYTES];
static pthread_mutex_t disk_lock = PTHREAD_MUTEX_INITIALIZER;

static const char *get_variable(const char *name)
{
    const char *value = getenv(name);

    return value == NULL ? "" : value;
}

static void note(const char *format, ...) NBDKIT_PRINTF(1, 2);
static void note(const char *format, ...)
{
    char line[256];
    va_list args;

    if (log_fd < 0)
        return;
    va_start(args, format);
    int length = vsnprintf(line, sizeof line - 1, format, args);
    va_end(args);
    while (length > 0 && line[length - 1] == ' ')
        length--;
    line[length++] = '\n';
    if (write(log_fd, line, (size_t)length) < 0)
        abort();
}

static int fail(const char *message)
{
    nbdkit_error("%s", message);
    return -1;
}

/* Is this the callback that is told to do something, and this? */
static int is_told(const struct step *step, const char *action)
{
    return strcmp(get_variable("CONTRACT_WHEN"), step->method) == 0 &&
           strcmp(get_variable("CONTRACT_DO"), action) == 0 &&
           (step->export_name == NULL || strcmp(step->export_name, "told") == 0) &&
           step->offset == TOLD_OFFSET;
}

/* Ends a callback whose work is done. Returns what it is to return. */
static int finish(const struct step *step)
{
    int is_shutdown = is_told(step, "shutdown"), is_soft = is_told(step, "soft");
    int is_forced = is_told(step, "forced");

    if (is_told(step, "fail"))
        return fail("told to fail");
    if (is_shutdown)
        nbdkit_shutdown();
    if (is_soft || is_forced)
        nbdkit_disconnect(is_forced);
    if ((is_shutdown || is_soft || is_forced) &&
        strcmp(get_variable("CONTRACT_RESULT"), "fail") == 0) {
        nbdkit_set_error(ENOSPC);
        return fail("told to fail");
    }
    note("end %s", step->method);
    return 0;
}

/* A callback without a connection. */
static int serve(const char *method, const char *arguments)
{
    note("begin %s %s", method, arguments);
    return finish(&(struct step){ .method = method, .offset = TOLD_OFFSET });
}

/* A callback of a connection that is no request for a range. */
static int serve_handle(const char *method, const char *export_name)
{
    note("begin %s %s", method, export_name);
    return finish(&(struct step){ method, export_name, TOLD_OFFSET });
}

static void begin_request(const struct step *step, uint32_t count, uint32_t flags)
{
    static const struct {
        uint32_t flag;
        const char *name;
    } names[] = {
        { NBDKIT_FLAG_FUA, "fua" },
        { NBDKIT_FLAG_MAY_TRIM, "may_trim" },
        { NBDKIT_FLAG_FAST_ZERO, "fast" },
        { NBDKIT_FLAG_REQ_ONE, "req_one" },
    };
    char text[64] = "";

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if ((flags & names[i].flag) != 0) {
            strcat(text, *text == '\0' ? "" : ",");
            strcat(text, names[i].name);
        }
    }
    note("begin %s %s %" PRIu32 " %" PRIu64 " %s", step->method, step->export_name, count,
         step->offset, text);
}

/* Fails a request at the place of an errno. */
static int check_errno(uint64_t offset)
{
    uint64_t error = offset < ERRNO_OFFSET ? 0 : (offset - ERRNO_OFFSET) / 512;

    if (error < 1 || error > ERRNO_MAX || offset % 512 != 0)
        return 0;
    nbdkit_error("told errno %" PRIu64, error);
    nbdkit_set_error((int)error);
    return -1;
}

static void contract_load(void)
{
    const char *path = get_variable("CONTRACT_LOG");

    if (*path != '\0')
        log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    serve("load", "");
}

static void contract_unload(void)
{
    serve("unload", "");
}

static int contract_config(const char *key, const char *value)
{
    char arguments[128];

    if (strcmp(key, "word") != 0 && strcmp(key, "other") != 0) {
        nbdkit_error("unknown parameter %s", key);
        return -1;
    }
    snprintf(arguments, sizeof arguments, "%s %s", key, value);
    return serve("config", arguments);
}

static int contract_config_complete(void)
{
    return serve("config_complete", "");
}

static int contract_thread_model(void)
{
    return serve("thread_model", "") == -1 ? -1 : NBDKIT_THREAD_MODEL_PARALLEL;
}

static int contract_get_ready(void)
{
    return serve("get_ready", "");
}

static int contract_after_fork(void)
{
    return serve("after_fork", "");
}

static void contract_cleanup(void)
{
    serve("cleanup", "");
}

static int contract_preconnect(int readonly)
{
    return serve("preconnect", readonly ? "true" : "false");
}

static const char *show_two(int readonly, int is_tls)
{
    static const char *const texts[] = { "false false", "false true", "true false", "true true" };

    return texts[2 * !!readonly + !!is_tls];
}

static int contract_list_exports(int readonly, int is_tls, struct nbdkit_exports *exports)
{
    if (serve("list_exports", show_two(readonly, is_tls)) == -1)
        return -1;
    return nbdkit_add_export(exports, "plain", NULL) == -1
               ? -1
               : nbdkit_add_export(exports, "told", "does what it is told");
}

static const char *contract_default_export(int readonly, int is_tls)
{
    return serve("default_export", show_two(readonly, is_tls)) == -1 ? NULL : "plain";
}

static void *contract_open(int readonly)
{
    const char *name = nbdkit_export_name();

    note("begin open %s %s", name, readonly ? "true" : "false");
    return finish(&(struct step){ "open", name, TOLD_OFFSET }) == -1 ? NULL : strdup(name);
}

static void contract_close(void *handle)
{
    serve_handle("close", handle);
    free(handle);
}

static const char *contract_export_description(void *handle)
{
    return serve_handle("export_description", handle) == -1
               ? NULL
               : nbdkit_printf_intern("the export %s", (const char *)handle);
}

static int64_t contract_get_size(void *handle)
{
    struct step step = { "get_size", handle, TOLD_OFFSET };

    if (serve_handle("get_size", handle) == -1)
        return -1;
    return is_told(&step, "wrong") ? -5 : DISK_BYTES;
}

static int contract_block_size(void *handle, uint32_t *minimum, uint32_t *preferred,
                               uint32_t *maximum)
{
    struct step step = { "block_size", handle, TOLD_OFFSET };

    *minimum = is_told(&step, "wrong") ? 3 : 1;
    *preferred = 4096;
    *maximum = DISK_BYTES;
    return serve_handle("block_size", handle);
}

/* Answers a question about the disk. */
#define CAN(question, answer)                                                                      \
    static int contract_##question(void *handle)                                                   \
    {                                                                                              \
        return serve_handle(#question, handle) == -1 ? -1 : (answer);                              \
    }
CAN(can_write, 1)
CAN(can_flush, 1)
CAN(can_trim, 1)
CAN(can_zero, 1)
CAN(can_fast_zero, 1)
CAN(can_extents, 1)
CAN(can_multi_conn, 1)
CAN(is_rotational, 1)
CAN(can_fua, NBDKIT_FUA_NATIVE)
CAN(can_cache, NBDKIT_CACHE_NATIVE)

static void wait_at_gate(void)
{
    char byte = '\0';
    int gate_fd = open(get_variable("CONTRACT_GATE"), O_RDONLY | O_CLOEXEC);

    while (byte != '\n') {
        if (read(gate_fd, &byte, 1) != 1)
            abort();
    }
    close(gate_fd);
}

static int contract_pread(void *handle, void *buffer, uint32_t count, uint64_t offset,
                          uint32_t flags)
{
    struct step step = { "pread", handle, offset };

    begin_request(&step, count, flags);
    if (offset == GATE_OFFSET)
        wait_at_gate();
    if (check_errno(offset) == -1)
        return -1;
    if (is_told(&step, "wrong"))
        return fail("a short read");
    pthread_mutex_lock(&disk_lock);
    memcpy(buffer, disk + offset, count);
    pthread_mutex_unlock(&disk_lock);
    return finish(&step);
}

static int contract_pwrite(void *handle, const void *buffer, uint32_t count, uint64_t offset,
                           uint32_t flags)
{
    struct step step = { "pwrite", handle, offset };

    begin_request(&step, count, flags);
    if (check_errno(offset) == -1)
        return -1;
    pthread_mutex_lock(&disk_lock);
    memcpy(disk + offset, buffer, count);
    pthread_mutex_unlock(&disk_lock);
    return finish(&step);
}

static int contract_flush(void *handle, uint32_t flags)
{
    (void)flags;
    return serve_handle("flush", handle);
}

/* Trim and zero. */
static int clear(const struct step *step, uint32_t count, uint32_t flags)
{
    begin_request(step, count, flags);
    if (check_errno(step->offset) == -1)
        return -1;
    if ((flags & NBDKIT_FLAG_FAST_ZERO) != 0 && step->offset >= ZERO_OFFSET) {
        nbdkit_set_error(EOPNOTSUPP);
        return -1;
    }
    pthread_mutex_lock(&disk_lock);
    memset(disk + step->offset, 0, count);
    pthread_mutex_unlock(&disk_lock);
    return finish(step);
}

static int contract_trim(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    return clear(&(struct step){ "trim", handle, offset }, count, flags);
}

static int contract_zero(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    return clear(&(struct step){ "zero", handle, offset }, count, flags);
}

static int contract_cache(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    struct step step = { "cache", handle, offset };

    begin_request(&step, count, flags);
    return check_errno(offset) == -1 ? -1 : finish(&step);
}

static int contract_extents(void *handle, uint32_t count, uint64_t offset, uint32_t flags,
                            struct nbdkit_extents *extents)
{
    struct step step = { "extents", handle, offset };

    begin_request(&step, count, flags);
    if (is_told(&step, "wrong"))
        return nbdkit_add_extent(extents, offset + 512, 512, 0);
    if (nbdkit_add_extent(extents, 0, HOLE_OFFSET, 0) == -1 ||
        nbdkit_add_extent(extents, HOLE_OFFSET, ZERO_OFFSET - HOLE_OFFSET,
                          NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO) == -1 ||
        nbdkit_add_extent(extents, ZERO_OFFSET, DISK_BYTES - ZERO_OFFSET, NBDKIT_EXTENT_ZERO) == -1)
        return -1;
    return finish(&step);
}

static struct nbdkit_plugin plugin = {
    .name = "contract",
    .load = contract_load,
    .unload = contract_unload,
    .config = contract_config,
    .config_complete = contract_config_complete,
    .magic_config_key = "word",
    .thread_model = contract_thread_model,
    .get_ready = contract_get_ready,
    .after_fork = contract_after_fork,
    .cleanup = contract_cleanup,
    .preconnect = contract_preconnect,
    .list_exports = contract_list_exports,
    .default_export = contract_default_export,
    .open = contract_open,
    .close = contract_close,
    .export_description = contract_export_description,
    .get_size = contract_get_size,
    .block_size = contract_block_size,
    .can_write = contract_can_write,
    .can_flush = contract_can_flush,
    .can_trim = contract_can_trim,
    .can_zero = contract_can_zero,
    .can_fast_zero = contract_can_fast_zero,
    .can_extents = contract_can_extents,
    .can_multi_conn = contract_can_multi_conn,
    .is_rotational = contract_is_rotational,
    .can_fua = contract_can_fua,
    .can_cache = contract_can_cache,
    .pread = contract_pread,
    .pwrite = contract_pwrite,
    .flush = contract_flush,
    .trim = contract_trim,
    .zero = contract_zero,
    .cache = contract_cache,
    .extents = contract_extents,
};

NBDKIT_REGISTER_PLUGIN(plugin)
