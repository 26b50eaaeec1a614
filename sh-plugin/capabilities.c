/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The callbacks that ask the script what its disk is and can. Owns the answers
 * kept in struct connection; the thread that does the handshake enters it.
 * Calls ask, parse, text and program.
 *
 * Whether a script has a method is known only by running it, so what it does
 * not say is a no. A fragment of the eval plugin is known to be there or not:
 * there pwrite implies can_write.
 *
 * A map with files can what files can, whatever the script can; the script's
 * answers are kept for the ranges that it serves itself.
 */
#include <errno.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "ask.h"
#include "cleanup.h"
#include "connection.h"
#include "map.h"
#include "methods.h"
#include "parse.h"
#include "program.h"
#include "text.h"

/* Fails because of what the method printed. Returns -1. */
static int fail_with_output(const struct call *call, const char *problem, const char *remedy)
{
    CLEANUP_FREE char *shown = text_join_lines(buf_get_text(call->output), call->output->length);

    if (!shown || !*shown)
        return call_refuse(call, EIO,
                           "printed nothing: %s; or, if the script has no such method, let it "
                           "exit with 2 (*) exit 2 ;;)",
                           remedy);
    return call_refuse(call, EIO, "printed '%.200s', which %s: %s", shown, problem, remedy);
}

int64_t methods_get_size(void *handle)
{
    static const char remedy[] = "print the size of the disk in bytes, or with a unit such as 10M";
    struct connection *connection = handle;
    BUF_GROWING(output, ASK_TEXT_MAX);
    BUF_GROWING(errors, CALL_ERRORS_MAX);
    int64_t size;

    if (connection->size_bytes != CONNECTION_NOT_ASKED)
        return connection->size_bytes;
    struct call call = {
        .method = "get_size",
        .arguments = CALL_ARGUMENTS(connection->handle),
        .output = &output,
        .errors = &errors,
        .missing_hint = "a disk needs it: print its size, for example 'echo 10M'",
    };
    if (ask_text(&call) != STATUS_OK)
        return -1;
    const char *problem = parse_read_size(buf_get_text(&output), &size);
    if (problem != NULL)
        return fail_with_output(&call, problem, remedy);
    return connection->size_bytes = size;
}

int methods_block_size(void *handle, uint32_t *minimum, uint32_t *preferred, uint32_t *maximum)
{
    struct connection *connection = handle;
    BUF_GROWING(output, ASK_TEXT_MAX);
    BUF_GROWING(errors, CALL_ERRORS_MAX);
    uint32_t sizes[3] = { 0, 0, 0 };
    struct call call = {
        .method = "block_size",
        .arguments = CALL_ARGUMENTS(connection->handle),
        .output = &output,
        .errors = &errors,
    };

    enum status_result result = ask_text(&call);
    if (result == STATUS_ERROR)
        return -1;
    if (result == STATUS_OK) {
        CLEANUP_FREE char *copy = strdup(buf_get_text(&output));
        const char *problem = copy == NULL ? "is too long" : parse_read_block_sizes(copy, sizes);
        if (problem != NULL)
            return fail_with_output(&call, problem,
                                    "print the minimum, the preferred and the maximum size");
    }
    *minimum = sizes[0];
    *preferred = sizes[1];
    connection->block_maximum = *maximum = sizes[2];
    return 0;
}

const char *methods_export_description(void *handle)
{
    struct connection *connection = handle;
    BUF_GROWING(output, ASK_TEXT_MAX);
    struct call call = {
        .method = "export_description",
        .arguments = CALL_ARGUMENTS(connection->handle),
        .output = &output,
    };

    if (ask_text(&call) != STATUS_OK)
        return NULL;
    buf_drop_newline(&output);
    return nbdkit_strdup_intern(buf_get_text(&output));
}

/* Asks whether the method that is implied by another one can be used. */
static int can(const struct connection *connection, const char *question, const char *method)
{
    if (!program_is_defined(question) && program_is_defined(method))
        return 1;
    return ask_boolean(question, CALL_ARGUMENTS(connection->handle), 0);
}

/* The answer for the connection, which can whatever its files can. */
static int or_files(const struct connection *connection, int answer)
{
    return answer == 0 && map_has_files(connection) ? 1 : answer;
}

/* A script that knows pwrite was hardly meant to be read-only because can_write was forgotten. */
static int ask_write(const struct connection *connection)
{
    enum { NOT_SAID = 2 };

    if (!program_is_defined("can_write") && program_is_defined("pwrite"))
        return 1;
    int answer = ask_boolean("can_write", CALL_ARGUMENTS(connection->handle), NOT_SAID);
    if (answer != NOT_SAID)
        return answer;
    if (program_mentions_pwrite())
        CALL_HINT_ONCE("can_write",
                       "there is no such method, so that the disk is read-only, though "
                       "the script speaks of pwrite: add can_write) exit 0 ;; or exit 3 for no");
    return 0;
}

int methods_can_write(void *handle)
{
    struct connection *connection = handle;

    if (connection->can_write == CONNECTION_NOT_ASKED)
        connection->can_write = ask_write(connection);
    return connection->can_write;
}

/* Can the script flush? */
static int ask_flush(struct connection *connection)
{
    if (connection->can_flush == CONNECTION_NOT_ASKED)
        connection->can_flush = can(connection, "can_flush", "flush");
    return connection->can_flush;
}

int methods_can_flush(void *handle)
{
    return or_files(handle, ask_flush(handle));
}

int methods_can_trim(void *handle)
{
    struct connection *connection = handle;

    connection->can_trim = can(connection, "can_trim", "trim");
    return or_files(connection, connection->can_trim);
}

/* Can the script zero? */
static int ask_zero(struct connection *connection)
{
    if (connection->can_zero == CONNECTION_NOT_ASKED)
        connection->can_zero = can(connection, "can_zero", "zero");
    return connection->can_zero;
}

int methods_can_zero(void *handle)
{
    return or_files(handle, ask_zero(handle));
}

int methods_can_extents(void *handle)
{
    struct connection *connection = handle;

    connection->can_extents = can(connection, "can_extents", "extents");
    /* A yes that warns the server: each call costs a process (nbdlab-plugin(3)). */
    if (connection->can_extents > 0)
        return 2;
    return connection->can_extents == 0 ? map_has_extents(connection) : -1;
}

/* Without a zero method, the server fails fast zero requests fast, which is what they are for. */
int methods_can_fast_zero(void *handle)
{
    enum { NOT_SAID = 2 };
    struct connection *connection = handle;
    int answer = ask_boolean("can_fast_zero", CALL_ARGUMENTS(connection->handle), NOT_SAID);

    if (answer == NOT_SAID) {
        answer = ask_zero(connection);
        answer = answer < 0 ? -1 : !answer;
    }
    connection->can_fast_zero = answer;
    return or_files(connection, answer);
}

int methods_can_multi_conn(void *handle)
{
    struct connection *connection = handle;

    return ask_boolean("can_multi_conn", CALL_ARGUMENTS(connection->handle), 0);
}

int methods_is_rotational(void *handle)
{
    struct connection *connection = handle;

    return ask_boolean("is_rotational", CALL_ARGUMENTS(connection->handle), 0);
}

/*
 * Asks a question that is answered with none, emulate or native; the constants
 * of can_fua and of can_cache both count from 0 in this order. Returns
 * if_missing if there is no such method, or -1.
 */
static int ask_degree(const struct connection *connection, const char *question, int if_missing)
{
    static const char *const words[] = { "none", "emulate", "native", NULL };
    BUF_GROWING(output, ASK_TEXT_MAX);
    BUF_GROWING(errors, CALL_ERRORS_MAX);
    struct call call = {
        .method = question,
        .arguments = CALL_ARGUMENTS(connection->handle),
        .output = &output,
        .errors = &errors,
    };

    enum status_result result = ask_text(&call);
    if (result == STATUS_MISSING)
        return if_missing;
    if (result != STATUS_OK)
        return -1;
    int degree = parse_find_word(buf_get_text(&output), words);
    return degree >= 0 ? degree
                       : fail_with_output(&call, "is not known", "print none, emulate or native");
}

/* By default FUA is done by a flush, where there is one. */
static int ask_fua(struct connection *connection)
{
    enum { NOT_SAID = 3 };
    int answer = ask_degree(connection, "can_fua", NOT_SAID);

    if (answer != NOT_SAID)
        return answer;
    answer = ask_flush(connection);
    if (answer < 0)
        return -1;
    return answer ? NBDKIT_FUA_EMULATE : NBDKIT_FUA_NONE;
}

int methods_can_fua(void *handle)
{
    struct connection *connection = handle;

    connection->can_fua = ask_fua(connection);
    return connection->can_fua >= 0 && map_has_files(connection) ? NBDKIT_FUA_NATIVE
                                                                 : connection->can_fua;
}

static int ask_cache(const struct connection *connection)
{
    if (!program_is_defined("can_cache") && program_is_defined("cache"))
        return NBDKIT_CACHE_NATIVE;
    return ask_degree(connection, "can_cache", NBDKIT_CACHE_NONE);
}

int methods_can_cache(void *handle)
{
    struct connection *connection = handle;

    connection->can_cache = ask_cache(connection);
    return connection->can_cache >= 0 && map_has_files(connection) ? NBDKIT_CACHE_NATIVE
                                                                   : connection->can_cache;
}
