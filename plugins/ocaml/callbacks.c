// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns nothing. The server's threads enter, all in parallel where the plugin
 * is; calls call and answers.
 */
#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "callbacks.h"

#include <stdio.h>
#include <stdlib.h>

#include <caml/callback.h>
#include <caml/memory.h>

#include "answers.h"
#include "call.h"
#include "runtime.h"

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof(array)[0]))
#define UNIT                                                                                       \
    {                                                                                              \
        .kind = ARGUMENT_UNIT                                                                      \
    }
#define BOOL(is)                                                                                   \
    {                                                                                              \
        .kind = ARGUMENT_BOOL, .number = (is) != 0                                                 \
    }
#define TEXT(string)                                                                               \
    {                                                                                              \
        .kind = ARGUMENT_TEXT, .text = (string)                                                    \
    }
#define HANDLE(pointer)                                                                            \
    {                                                                                              \
        .kind = ARGUMENT_HANDLE, .handle = (pointer)                                               \
    }
#define BUFFER(memory, bytes)                                                                      \
    {                                                                                              \
        .kind = ARGUMENT_BUFFER, .buffer = (memory), .length = (bytes)                             \
    }
#define INT64(bytes)                                                                               \
    {                                                                                              \
        .kind = ARGUMENT_INT64, .number = (bytes)                                                  \
    }
#define FLAGS(bits)                                                                                \
    {                                                                                              \
        .kind = ARGUMENT_FLAGS, .number = (bits)                                                   \
    }

/* The plugin's life. */

static int call_unit(enum method method, call_decode *decode)
{
    const struct argument arguments[] = { UNIT };

    return (int)call_run(method, arguments, COUNT_OF(arguments), decode, NULL);
}

static void load(void)
{
    call_unit(METHOD_LOAD, NULL);
}

/* What OCaml programs want done at their end: first of all, to write out what is in buffers. */
static void run_at_exit(void)
{
    runtime_enter();
    const value *at_exit = caml_named_value("Pervasives.do_at_exit");
    if (at_exit) {
        value result = caml_callback_exn(*at_exit, Val_unit);
        if (Is_exception_result(result)) {
            int error;
            char *text = call_describe("at_exit", Extract_exception(result), &error);
            nbdkit_error("%s", text);
            caml_stat_free(text);
        }
    }
    runtime_leave();
}

static void unload(void)
{
    runtime_enter();
    bool is_given = call_has(METHOD_UNLOAD);
    runtime_leave();
    if (is_given)
        call_unit(METHOD_UNLOAD, NULL);
    run_at_exit();
}

static void dump_plugin(void)
{
    fflush(stdout);
    call_unit(METHOD_DUMP_PLUGIN, NULL);
}

static int config(const char *key, const char *text)
{
    const struct argument arguments[] = { TEXT(key), TEXT(text) };

    return (int)call_run(METHOD_CONFIG, arguments, COUNT_OF(arguments), NULL, NULL);
}

static int config_complete(void)
{
    return call_unit(METHOD_CONFIG_COMPLETE, NULL);
}

/* Without OCaml's threads nobody could run while a callback waits. */
static int thread_model(void)
{
    int model = call_unit(METHOD_THREAD_MODEL, answer_choice);

    if (model > NBDKIT_THREAD_MODEL_SERIALIZE_ALL_REQUESTS && !runtime_has_threads()) {
        nbdkit_debug("not linked with threads.cmxa: one request is served at a time");
        return NBDKIT_THREAD_MODEL_SERIALIZE_ALL_REQUESTS;
    }
    return model;
}

static int get_ready(void)
{
    return call_unit(METHOD_GET_READY, NULL);
}

static int after_fork(void)
{
    return call_unit(METHOD_AFTER_FORK, NULL);
}

static void cleanup(void)
{
    call_unit(METHOD_CLEANUP, NULL);
}

/* Before there is a handle. */

static int preconnect(int readonly)
{
    const struct argument arguments[] = { BOOL(readonly) };

    return (int)call_run(METHOD_PRECONNECT, arguments, COUNT_OF(arguments), NULL, NULL);
}

static int list_exports(int readonly, int is_tls, struct nbdkit_exports *exports)
{
    const struct argument arguments[] = { BOOL(readonly), BOOL(is_tls) };

    return (int)call_run(METHOD_LIST_EXPORTS, arguments, COUNT_OF(arguments), answer_exports,
                         exports);
}

static const char *default_export(int readonly, int is_tls)
{
    const struct argument arguments[] = { BOOL(readonly), BOOL(is_tls) };
    const char *name = NULL;

    call_run(METHOD_DEFAULT_EXPORT, arguments, COUNT_OF(arguments), answer_text, &name);
    return name;
}

static void *open_connection(int readonly)
{
    const struct argument arguments[] = { BOOL(readonly) };
    value *handle = NULL;

    call_run(METHOD_OPEN, arguments, COUNT_OF(arguments), answer_handle, &handle);
    return handle;
}

/* With a handle. */

static int64_t call_handle(enum method method, void *handle, call_decode *decode, void *answer)
{
    const struct argument arguments[] = { HANDLE(handle) };

    return call_run(method, arguments, COUNT_OF(arguments), decode, answer);
}

static void close_connection(void *handle)
{
    runtime_enter();
    bool is_given = call_has(METHOD_CLOSE);
    runtime_leave();
    if (is_given)
        call_handle(METHOD_CLOSE, handle, NULL, NULL);
    runtime_enter();
    caml_remove_generational_global_root(handle);
    runtime_leave();
    free(handle);
}

static int64_t get_size(void *handle)
{
    return call_handle(METHOD_GET_SIZE, handle, answer_size, NULL);
}

static const char *export_description(void *handle)
{
    const char *description = NULL;

    call_handle(METHOD_EXPORT_DESCRIPTION, handle, answer_text, &description);
    return description;
}

static int block_size(void *handle, uint32_t *minimum, uint32_t *preferred, uint32_t *maximum)
{
    struct block_sizes sizes = { minimum, preferred, maximum };

    return (int)call_handle(METHOD_BLOCK_SIZE, handle, answer_block_size, &sizes);
}

#define CHOICE(name, METHOD)                                                                       \
    static int name(void *handle)                                                                  \
    {                                                                                              \
        return (int)call_handle(METHOD, handle, answer_choice, NULL);                              \
    }

CHOICE(can_write, METHOD_CAN_WRITE)
CHOICE(can_flush, METHOD_CAN_FLUSH)
CHOICE(is_rotational, METHOD_IS_ROTATIONAL)
CHOICE(can_trim, METHOD_CAN_TRIM)
CHOICE(can_zero, METHOD_CAN_ZERO)
CHOICE(can_fast_zero, METHOD_CAN_FAST_ZERO)
CHOICE(can_extents, METHOD_CAN_EXTENTS)
CHOICE(can_multi_conn, METHOD_CAN_MULTI_CONN)
CHOICE(can_fua, METHOD_CAN_FUA)
CHOICE(can_cache, METHOD_CAN_CACHE)

/* Requests. */

static int pread_buffer(void *handle, void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
    const struct argument arguments[] = { HANDLE(handle), BUFFER(buf, count), INT64(offset),
                                          FLAGS(flags) };

    return (int)call_run(METHOD_PREAD, arguments, COUNT_OF(arguments), NULL, NULL);
}

static int pwrite_buffer(void *handle, const void *buf, uint32_t count, uint64_t offset,
                         uint32_t flags)
{
    const struct argument arguments[] = { HANDLE(handle), BUFFER(buf, count), INT64(offset),
                                          FLAGS(flags) };

    return (int)call_run(METHOD_PWRITE, arguments, COUNT_OF(arguments), NULL, NULL);
}

static int flush(void *handle, uint32_t flags)
{
    const struct argument arguments[] = { HANDLE(handle), FLAGS(flags) };

    return (int)call_run(METHOD_FLUSH, arguments, COUNT_OF(arguments), NULL, NULL);
}

static int call_range(enum method method, void *handle, uint32_t count, uint64_t offset,
                      uint32_t flags)
{
    const struct argument arguments[] = { HANDLE(handle), INT64(count), INT64(offset),
                                          FLAGS(flags) };

    return (int)call_run(method, arguments, COUNT_OF(arguments), NULL, NULL);
}

static int trim(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    return call_range(METHOD_TRIM, handle, count, offset, flags);
}

static int zero(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    return call_range(METHOD_ZERO, handle, count, offset, flags);
}

static int cache(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    return call_range(METHOD_CACHE, handle, count, offset, flags);
}

static int get_extents(void *handle, uint32_t count, uint64_t offset, uint32_t flags,
                       struct nbdkit_extents *extents)
{
    const struct argument arguments[] = { HANDLE(handle), INT64(count), INT64(offset),
                                          FLAGS(flags) };

    return (int)call_run(METHOD_EXTENTS, arguments, COUNT_OF(arguments), answer_extents, extents);
}

#define GIVE(METHOD, member, function)                                                             \
    if (call_has(METHOD))                                                                          \
    table->member = (function)

void callbacks_fill(struct nbdkit_plugin *table)
{
    table->unload = unload;
    table->close = close_connection;
    GIVE(METHOD_LOAD, load, load);
    GIVE(METHOD_DUMP_PLUGIN, dump_plugin, dump_plugin);
    GIVE(METHOD_CONFIG, config, config);
    GIVE(METHOD_CONFIG_COMPLETE, config_complete, config_complete);
    GIVE(METHOD_THREAD_MODEL, thread_model, thread_model);
    GIVE(METHOD_GET_READY, get_ready, get_ready);
    GIVE(METHOD_AFTER_FORK, after_fork, after_fork);
    GIVE(METHOD_CLEANUP, cleanup, cleanup);
    GIVE(METHOD_PRECONNECT, preconnect, preconnect);
    GIVE(METHOD_LIST_EXPORTS, list_exports, list_exports);
    GIVE(METHOD_DEFAULT_EXPORT, default_export, default_export);
    GIVE(METHOD_OPEN, open, open_connection);
    GIVE(METHOD_GET_SIZE, get_size, get_size);
    GIVE(METHOD_EXPORT_DESCRIPTION, export_description, export_description);
    GIVE(METHOD_BLOCK_SIZE, block_size, block_size);
    GIVE(METHOD_CAN_WRITE, can_write, can_write);
    GIVE(METHOD_CAN_FLUSH, can_flush, can_flush);
    GIVE(METHOD_IS_ROTATIONAL, is_rotational, is_rotational);
    GIVE(METHOD_CAN_TRIM, can_trim, can_trim);
    GIVE(METHOD_CAN_ZERO, can_zero, can_zero);
    GIVE(METHOD_CAN_FAST_ZERO, can_fast_zero, can_fast_zero);
    GIVE(METHOD_CAN_EXTENTS, can_extents, can_extents);
    GIVE(METHOD_CAN_MULTI_CONN, can_multi_conn, can_multi_conn);
    GIVE(METHOD_CAN_FUA, can_fua, can_fua);
    GIVE(METHOD_CAN_CACHE, can_cache, can_cache);
    GIVE(METHOD_PREAD, pread, pread_buffer);
    GIVE(METHOD_PWRITE, pwrite, pwrite_buffer);
    GIVE(METHOD_FLUSH, flush, flush);
    GIVE(METHOD_TRIM, trim, trim);
    GIVE(METHOD_ZERO, zero, zero);
    GIVE(METHOD_EXTENTS, extents, get_extents);
    GIVE(METHOD_CACHE, cache, cache);
}
