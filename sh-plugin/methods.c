/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The callbacks that configure the script, open and close it. Owns struct
 * connection; any thread of the server enters it. Calls ask, call, map_table,
 * parse, text, lifetime, orphans, process, pool and the server's lists.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "ask.h"
#include "cleanup.h"
#include "connection.h"
#include "lifetime.h"
#include "map_table.h"
#include "methods.h"
#include "orphans.h"
#include "parse.h"
#include "pool.h"
#include "process.h"
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
    pool_end();
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
    BUF_GROWING(errors, CALL_ERRORS_MAX);
    struct call call = {
        .method = "thread_model",
        .arguments = CALL_ARGUMENTS(NULL),
        .output = &output,
        .errors = &errors,
    };

    enum status_result result = ask_text(&call);
    if (result == STATUS_ERROR)
        return -1;
    if (result == STATUS_MISSING)
        return NBDKIT_THREAD_MODEL_SERIALIZE_ALL_REQUESTS;
    int model = parse_find_word(buf_get_text(&output), models);
    if (model >= 0)
        return model;
    CLEANUP_FREE char *shown = text_join_lines(buf_get_text(&output), output.length);
    if (shown == NULL || *shown == '\0')
        call_warn(&call,
                  "printed nothing, so serialize_all_requests is used: print a thread model, or, "
                  "if the script has no such method, let it exit with 2 (*) exit 2 ;;)");
    else
        call_warn(&call,
                  "'%.200s' is not a thread model, so serialize_all_requests is used: print "
                  "serialize_connections, serialize_all_requests, serialize_requests or parallel",
                  shown);
    return NBDKIT_THREAD_MODEL_SERIALIZE_ALL_REQUESTS;
}

int methods_get_ready(void)
{
    if (process_decide() < 0 || (process_has_workers() && lifetime_make_private() < 0))
        return -1;
    return ask_optional("get_ready", CALL_ARGUMENTS(NULL));
}

/* The first process that has workers is the one that serves. */
int methods_after_fork(void)
{
    if (lifetime_settle() < 0 || ask_optional("after_fork", CALL_ARGUMENTS(NULL)) < 0)
        return -1;
    if (process_has_workers() && pool_begin() < 0)
        return -1;
    orphans_begin();
    return 0;
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
    BUF_GROWING(errors, CALL_ERRORS_MAX);
    struct parse_exports position;
    const char *name, *description;

    struct call call = {
        .method = "list_exports",
        .arguments = CALL_ARGUMENTS(get_bool_word(readonly), get_bool_word(is_tls)),
        .output = &output,
        .errors = &errors,
    };
    enum status_result result = ask_text(&call);
    if (result == STATUS_MISSING)
        return nbdkit_use_default_export(exports);
    if (result != STATUS_OK)
        return -1;
    parse_begin_exports(&position, buf_get_text(&output));
    while (parse_next_export(&position, &name, &description))
        if (nbdkit_add_export(exports, name, description) < 0)
            return call_refuse(&call, errno, "printed the export that is refused");
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
    *connection = (struct connection){
        .size_bytes = CONNECTION_NOT_ASKED,
        .can_write = CONNECTION_NOT_ASKED,
        .can_flush = CONNECTION_NOT_ASKED,
        .can_trim = CONNECTION_NOT_ASKED,
        .can_zero = CONNECTION_NOT_ASKED,
        .can_fast_zero = CONNECTION_NOT_ASKED,
        .can_extents = CONNECTION_NOT_ASKED,
    };
    memcpy(connection->handle, handle, length);
    connection->handle[length] = '\0';
    return connection;
}

/* Asks for the map; a script need not have one. Returns 0 or -1. */
static int open_map(struct connection *connection, int readonly)
{
    BUF_GROWING(output, ASK_LIST_MAX);
    BUF_GROWING(errors, CALL_ERRORS_MAX);
    struct call call = {
        .method = "map",
        .arguments = CALL_ARGUMENTS(connection->handle),
        .output = &output,
        .errors = &errors,
    };

    enum status_result result = ask_text(&call);
    if (result == STATUS_ERROR)
        return -1;
    /* A script that succeeds with methods that it has never heard of prints nothing. */
    if (result == STATUS_MISSING || output.length == 0)
        return 0;
    int64_t size_bytes = methods_get_size(connection);
    int can_write = readonly ? 0 : methods_can_write(connection);
    if (size_bytes < 0 || can_write < 0)
        return -1;
    connection->map = map_build(&call, (uint64_t)size_bytes, !can_write);
    return connection->map == NULL ? -1 : 0;
}

/* Calls the script's open. Returns the connection, or NULL after the error was logged. */
static struct connection *call_open(int readonly)
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
    if (strchr(buf_get_text(&output), '\n'))
        CALL_HINT_ONCE("open",
                       "printed several lines, and all of them together are the handle, $2: "
                       "print one line, and messages to stderr (echo ... >&2)");
    return make_connection(buf_get_text(&output), output.length);
}

void *methods_open(int readonly)
{
    struct connection *connection = call_open(readonly);

    if (connection == NULL || open_map(connection, readonly) == 0)
        return connection;
    /* To the script, the connection has been opened. */
    methods_close(connection);
    return NULL;
}

void methods_close(void *handle)
{
    struct connection *connection = handle;

    map_free(connection->map);
    ask_optional("close", CALL_ARGUMENTS(connection->handle));
    free(connection);
}
