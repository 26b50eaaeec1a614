// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns the record of the plugin's callbacks. Every thread of the server
 * enters; calls runtime, OCaml and the plugin API.
 */
#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "call.h"

#include <assert.h>
#include <string.h>

#include <caml/alloc.h>
#include <caml/bigarray.h>
#include <caml/callback.h>
#include <caml/fail.h>
#include <caml/memory.h>
#include <caml/printexc.h>
#include <caml/threads.h>

#include "runtime.h"

static value callbacks = Val_unit;

/* About the callback that the thread is in. */
static _Thread_local struct {
    int error;          /* by NBDKit.set_error, or 0 */
    const char *failed; /* what a function of the server raised after it had logged why */
    int error_of_failed;
} now;

static const char *const names[] = {
    [METHOD_LOAD] = "load",
    [METHOD_UNLOAD] = "unload",
    [METHOD_DUMP_PLUGIN] = "dump_plugin",
    [METHOD_CONFIG] = "config",
    [METHOD_CONFIG_COMPLETE] = "config_complete",
    [METHOD_THREAD_MODEL] = "thread_model",
    [METHOD_GET_READY] = "get_ready",
    [METHOD_AFTER_FORK] = "after_fork",
    [METHOD_CLEANUP] = "cleanup",
    [METHOD_PRECONNECT] = "preconnect",
    [METHOD_LIST_EXPORTS] = "list_exports",
    [METHOD_DEFAULT_EXPORT] = "default_export",
    [METHOD_OPEN] = "open_connection",
    [METHOD_CLOSE] = "close",
    [METHOD_GET_SIZE] = "get_size",
    [METHOD_EXPORT_DESCRIPTION] = "export_description",
    [METHOD_BLOCK_SIZE] = "block_size",
    [METHOD_CAN_WRITE] = "can_write",
    [METHOD_CAN_FLUSH] = "can_flush",
    [METHOD_IS_ROTATIONAL] = "is_rotational",
    [METHOD_CAN_TRIM] = "can_trim",
    [METHOD_CAN_ZERO] = "can_zero",
    [METHOD_CAN_FAST_ZERO] = "can_fast_zero",
    [METHOD_CAN_EXTENTS] = "can_extents",
    [METHOD_CAN_MULTI_CONN] = "can_multi_conn",
    [METHOD_CAN_FUA] = "can_fua",
    [METHOD_CAN_CACHE] = "can_cache",
    [METHOD_PREAD] = "pread",
    [METHOD_PWRITE] = "pwrite",
    [METHOD_FLUSH] = "flush",
    [METHOD_TRIM] = "trim",
    [METHOD_ZERO] = "zero",
    [METHOD_EXTENTS] = "extents",
    [METHOD_CACHE] = "cache",
};
_Static_assert(sizeof names / sizeof names[0] == METHOD_COUNT, "a name for each");

void call_set_callbacks(value record)
{
    callbacks = record;
    caml_register_generational_global_root(&callbacks);
}

bool call_is_registered(void)
{
    return callbacks != Val_unit;
}

bool call_has(enum method method)
{
    return Is_block(Field(callbacks, method));
}

/* The list of OCaml's constructors. */
static value make_flags(uint64_t flags)
{
    static const struct {
        uint64_t bit;
        enum flag_constructor constructor;
    } all[] = {
        { NBDKIT_FLAG_FAST_ZERO, FLAG_FAST_ZERO },
        { NBDKIT_FLAG_REQ_ONE, FLAG_REQ_ONE },
        { NBDKIT_FLAG_FUA, FLAG_FUA },
        { NBDKIT_FLAG_MAY_TRIM, FLAG_MAY_TRIM },
    };
    CAMLparam0();
    CAMLlocal2(list, element);

    list = Val_int(0);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (!(flags & all[i].bit))
            continue;
        element = caml_alloc_small(2, 0);
        Field(element, 0) = Val_int(all[i].constructor);
        Field(element, 1) = list;
        list = element;
    }
    CAMLreturn(list);
}

/* The server's memory as a Bigarray. What a client writes is the server's too, and not constant. */
static value make_buffer(const void *buffer, uint32_t length)
{
    intnat dimension = (intnat)length;

    return caml_ba_alloc(CAML_BA_CHAR | CAML_BA_C_LAYOUT | CAML_BA_EXTERNAL, 1,
                         (void *)(uintptr_t)buffer, &dimension);
}

static value make_argument(const struct argument *argument)
{
    switch (argument->kind) {
    case ARGUMENT_HANDLE:
        return *argument->handle;
    case ARGUMENT_BOOL:
        return Val_bool(argument->number);
    case ARGUMENT_TEXT:
        return caml_copy_string(argument->text);
    case ARGUMENT_INT64:
        return caml_copy_int64((int64_t)argument->number);
    case ARGUMENT_BUFFER:
        return make_buffer(argument->buffer, argument->length);
    case ARGUMENT_FLAGS:
        return make_flags(argument->number);
    case ARGUMENT_UNIT:
        break;
    }
    return Val_unit;
}

char *call_describe(const char *where, value exception, int *error)
{
    CAMLparam1(exception);
    CAMLlocal2(name, result);
    const value *describe = caml_named_value("NBDKit.describe");
    char *text;

    *error = 0;
    result = exception;
    if (describe) {
        name = caml_copy_string(where);
        result = caml_callback2_exn(*describe, name, exception);
    }
    /* What goes wrong before NBDKit has started, and exceptions in exceptions' printers. */
    if (!describe || Is_exception_result(result)) {
        text = caml_format_exception(exception);
    } else {
        text = caml_stat_strdup(String_val(Field(result, 0)));
        *error = Int_val(Field(result, 1));
    }
    CAMLreturnT(char *, text);
}

static void log_text(const char *text, bool is_error)
{
    caml_release_runtime_system();
    if (is_error)
        nbdkit_error("%s", text);
    else
        nbdkit_debug("%s", text);
    caml_acquire_runtime_system();
}

/* Is it the one that a function of the server raised, Failure or Invalid_argument of its name? */
static bool is_reported(value exception)
{
    return now.failed && Is_block(exception) && Wosize_val(exception) == 2 &&
           Tag_val(exception) == 0 && Is_block(Field(exception, 1)) &&
           Tag_val(Field(exception, 1)) == String_tag &&
           strcmp(String_val(Field(exception, 1)), now.failed) == 0;
}

/*
 * Logs an exception that a callback ended with, and settles its errno. That
 * something is not faster than a write is an answer, and nothing to log.
 */
static void report(enum method method, value exception, bool may_refuse)
{
    int error;
    bool is_logged = is_reported(exception);
    char *text = call_describe(names[method], exception, &error);

    if (is_logged)
        error = now.error_of_failed;
    if (now.error)
        error = now.error;
    else if (error)
        nbdkit_set_error(error);
    if (!is_logged)
        log_text(text, !(may_refuse && error == EOPNOTSUPP));
    caml_stat_free(text);
}

static bool is_fast_zero(enum method method, const struct argument *arguments)
{
    return method == METHOD_ZERO && (arguments[3].number & NBDKIT_FLAG_FAST_ZERO);
}

static int64_t run_inside(enum method method, const struct argument *arguments, int count,
                          call_decode *decode, void *answer)
{
    CAMLparam0();
    CAMLlocalN(made, CALL_MAX_ARGUMENTS);
    CAMLlocal1(result);
    int64_t decoded = 0;

    for (int i = 0; i < count; i++)
        made[i] = make_argument(&arguments[i]);
    result = caml_callbackN_exn(Field(Field(callbacks, method), 0), count, made);
    /* Whoever kept the buffer must not find its memory, which is another request's now. */
    for (int i = 0; i < count; i++)
        if (arguments[i].kind == ARGUMENT_BUFFER)
            Caml_ba_array_val(made[i])->dim[0] = 0;
    if (Is_exception_result(result)) {
        result = Extract_exception(result);
        report(method, result, is_fast_zero(method, arguments));
        decoded = -1;
    } else if (decode) {
        decoded = decode(result, answer);
    }
    CAMLreturnT(int64_t, decoded);
}

int64_t call_run(enum method method, const struct argument *arguments, int count,
                 call_decode *decode, void *answer)
{
    assert(count <= CALL_MAX_ARGUMENTS);
    now.error = 0;
    now.failed = NULL;
    runtime_enter();
    int64_t result = run_inside(method, arguments, count, decode, answer);
    runtime_leave();
    return result;
}

void call_set_error(int error)
{
    now.error = error;
    nbdkit_set_error(error);
}

void call_fail_reported(const char *what)
{
    now.failed = what;
    now.error_of_failed = errno;
    caml_failwith(what);
}

void call_refuse_reported(const char *what)
{
    now.failed = what;
    now.error_of_failed = errno;
    caml_invalid_argument(what);
}
