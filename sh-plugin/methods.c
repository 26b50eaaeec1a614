/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The callbacks that configure the script, open and close it, and move data.
 * Owns struct connection; any thread of the server enters it. Calls ask, call,
 * parse, text, lifetime and the server's lists.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "ask.h"
#include "cleanup.h"
#include "connection.h"
#include "lifetime.h"
#include "methods.h"
#include "parse.h"
#include "text.h"

static const char *get_bool_word(int value)
{
    return value ? "true" : "false";
}

/* Calls a method that prints text and may be missing. */
static enum status_result ask_for_text(const char *method, const char *const *arguments,
                                       struct buf *output)
{
    return ask_text(&(struct call){ .method = method, .arguments = arguments, .output = output });
}

void methods_load(void)
{
    if (lifetime_begin() < 0)
        exit(EXIT_FAILURE);
}

void methods_unload(void)
{
    ask_optional("unload", CALL_ARGUMENTS(NULL));
    lifetime_end();
}

int methods_config(const char *key, const char *value)
{
    switch (ask_status("config", CALL_ARGUMENTS(key, value))) {
    case STATUS_OK:
        return 0;
    case STATUS_MISSING:
        return call_fail("config", EINVAL,
                         "there is no such method to take the parameter %s=%s: leave it out, or "
                         "write the method",
                         key, value);
    default:
        return -1;
    }
}

int methods_config_complete(void)
{
    return ask_optional("config_complete", CALL_ARGUMENTS(NULL));
}

int methods_thread_model(void)
{
    /* The indices are the values of NBDKIT_THREAD_MODEL_*. */
    static const char *const models[] = { "serialize_connections", "serialize_all_requests",
                                          "serialize_requests", "parallel", NULL };
    BUF_GROWING(output, ASK_TEXT_MAX);

    enum status_result result = ask_for_text("thread_model", CALL_ARGUMENTS(NULL), &output);
    if (result == STATUS_ERROR)
        return -1;
    if (result == STATUS_MISSING)
        return NBDKIT_THREAD_MODEL_SERIALIZE_ALL_REQUESTS;
    int model = parse_find_word(buf_get_text(&output), models);
    if (model >= 0)
        return model;
    CLEANUP_FREE char *shown = text_join_lines(buf_get_text(&output), output.length);
    if (shown == NULL || *shown == '\0')
        call_fail("thread_model", EINVAL,
                  "printed nothing, so serialize_all_requests is used: print a thread model, or, "
                  "if the script has no such method, let it exit with 2 (*) exit 2 ;;)");
    else
        call_fail("thread_model", EINVAL,
                  "'%.200s' is not a thread model, so serialize_all_requests is used: print "
                  "serialize_connections, serialize_all_requests, serialize_requests or parallel",
                  shown);
    return NBDKIT_THREAD_MODEL_SERIALIZE_ALL_REQUESTS;
}

int methods_get_ready(void)
{
    return ask_optional("get_ready", CALL_ARGUMENTS(NULL));
}

int methods_after_fork(void)
{
    return lifetime_settle() < 0 ? -1 : ask_optional("after_fork", CALL_ARGUMENTS(NULL));
}

void methods_dump_plugin(void)
{
    BUF_GROWING(output, ASK_LIST_MAX);

    printf("max_known_status=%d\n", STATUS_MAX_KNOWN);
    if (ask_for_text("dump_plugin", CALL_ARGUMENTS(NULL), &output) == STATUS_OK)
        fputs(buf_get_text(&output), stdout);
}

int methods_preconnect(int readonly)
{
    return ask_optional("preconnect", CALL_ARGUMENTS(get_bool_word(readonly)));
}

int methods_list_exports(int readonly, int is_tls, struct nbdkit_exports *exports)
{
    BUF_GROWING(output, ASK_LIST_MAX);
    struct parse_exports position;
    const char *name, *description;

    enum status_result result = ask_for_text(
        "list_exports", CALL_ARGUMENTS(get_bool_word(readonly), get_bool_word(is_tls)), &output);
    if (result == STATUS_MISSING)
        return nbdkit_use_default_export(exports);
    if (result != STATUS_OK)
        return -1;
    parse_begin_exports(&position, buf_get_text(&output));
    while (parse_next_export(&position, &name, &description))
        if (nbdkit_add_export(exports, name, description) < 0)
            return -1;
    return 0;
}

const char *methods_default_export(int readonly, int is_tls)
{
    BUF_GROWING(output, ASK_LIST_MAX);
    struct parse_exports position;
    const char *name = "";
    const char *description;

    enum status_result result = ask_for_text(
        "default_export", CALL_ARGUMENTS(get_bool_word(readonly), get_bool_word(is_tls)), &output);
    if (result == STATUS_MISSING)
        return "";
    if (result != STATUS_OK)
        return NULL;
    parse_begin_exports(&position, buf_get_text(&output));
    parse_next_export(&position, &name, &description);
    return nbdkit_strdup_intern(name);
}

static struct connection *make_connection(const char *handle, size_t length)
{
    struct connection *connection = malloc(sizeof(*connection) + length + 1);

    if (connection == NULL) {
        call_fail("open", ENOMEM, "no memory");
        return NULL;
    }
    connection->can_flush = connection->can_zero = CONNECTION_NOT_ASKED;
    memcpy(connection->handle, handle, length);
    connection->handle[length] = '\0';
    return connection;
}

void *methods_open(int readonly)
{
    const char *name = nbdkit_export_name();
    BUF_GROWING(output, ASK_TEXT_MAX);

    if (name == NULL)
        return NULL;
    enum status_result result = ask_for_text(
        "open", CALL_ARGUMENTS(get_bool_word(readonly), name, get_bool_word(nbdkit_is_tls() > 0)),
        &output);
    if (result == STATUS_ERROR)
        return NULL;
    if (result == STATUS_MISSING)
        return make_connection("", 0);
    buf_drop_newline(&output);
    return make_connection(buf_get_text(&output), output.length);
}

void methods_close(void *handle)
{
    struct connection *connection = handle;

    ask_optional("close", CALL_ARGUMENTS(connection->handle));
    free(connection);
}

struct methods_range methods_format_range(uint32_t count, uint64_t offset)
{
    struct methods_range range;

    snprintf(range.count, sizeof(range.count), "%" PRIu32, count);
    snprintf(range.offset, sizeof(range.offset), "%" PRIu64, offset);
    return range;
}

static const char *get_flag_words(uint32_t flags)
{
    static const char *const words[] = {
        [NBDKIT_FLAG_MAY_TRIM] = "may_trim",
        [NBDKIT_FLAG_FUA] = "fua",
        [NBDKIT_FLAG_FUA | NBDKIT_FLAG_MAY_TRIM] = "fua,may_trim",
        [NBDKIT_FLAG_REQ_ONE] = "req_one",
        [NBDKIT_FLAG_FAST_ZERO] = "fast",
        [NBDKIT_FLAG_FAST_ZERO | NBDKIT_FLAG_MAY_TRIM] = "may_trim,fast",
        [NBDKIT_FLAG_FAST_ZERO | NBDKIT_FLAG_FUA] = "fua,fast",
        [NBDKIT_FLAG_FAST_ZERO | NBDKIT_FLAG_FUA | NBDKIT_FLAG_MAY_TRIM] = "fua,may_trim,fast",
    };

    return flags < sizeof(words) / sizeof(words[0]) && words[flags] != NULL ? words[flags] : "";
}

int methods_pread(void *handle, void *buffer, uint32_t count, uint64_t offset, uint32_t flags)
{
    struct connection *connection = handle;
    struct methods_range range = methods_format_range(count, offset);
    struct buf output = BUF_OVER(buffer, count);
    struct call call = {
        .method = "pread",
        .arguments = CALL_ARGUMENTS(connection->handle, range.count, range.offset),
        .output = &output,
        .missing_hint = "a disk needs it: print $3 bytes of it from offset $4 on",
    };

    (void)flags;
    if (call_run(&call) != STATUS_OK)
        return -1;
    if (output.length == count && output.dropped == 0)
        return 0;
    return call_fail("pread", EIO,
                     "printed %zu bytes instead of %" PRIu32 ": print exactly the $3 bytes that "
                     "are asked for, and nothing else",
                     output.length + output.dropped, count);
}

int methods_pwrite(void *handle, const void *buffer, uint32_t count, uint64_t offset,
                   uint32_t flags)
{
    struct connection *connection = handle;
    struct methods_range range = methods_format_range(count, offset);

    return ask_required((struct call){
        .method = "pwrite",
        .arguments =
            CALL_ARGUMENTS(connection->handle, range.count, range.offset, get_flag_words(flags)),
        .input = buffer,
        .input_length = count,
        .missing_hint = CALL_PROMISED_BY("can_write"),
    });
}

int methods_flush(void *handle, uint32_t flags)
{
    struct connection *connection = handle;

    (void)flags;
    return ask_required((struct call){
        .method = "flush",
        .arguments = CALL_ARGUMENTS(connection->handle),
        .missing_hint = CALL_PROMISED_BY("can_flush"),
    });
}

int methods_trim(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    struct connection *connection = handle;
    struct methods_range range = methods_format_range(count, offset);

    return ask_required((struct call){
        .method = "trim",
        .arguments =
            CALL_ARGUMENTS(connection->handle, range.count, range.offset, get_flag_words(flags)),
        .missing_hint = CALL_PROMISED_BY("can_trim"),
    });
}

/* The server answers EOPNOTSUPP by writing zeroes, which is all that a script without it lacks. */
int methods_zero(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    struct connection *connection = handle;
    struct methods_range range = methods_format_range(count, offset);

    return ask_required((struct call){
        .method = "zero",
        .arguments =
            CALL_ARGUMENTS(connection->handle, range.count, range.offset, get_flag_words(flags)),
        .missing_hint = CALL_PROMISED_BY("can_zero"),
        .missing_errno = EOPNOTSUPP,
    });
}

int methods_cache(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    struct connection *connection = handle;
    struct methods_range range = methods_format_range(count, offset);

    (void)flags;
    return ask_required((struct call){
        .method = "cache",
        .arguments = CALL_ARGUMENTS(connection->handle, range.count, range.offset),
        .missing_hint = CALL_PROMISED_BY("can_cache"),
    });
}
