/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The methods of the script that move data. Owns nothing; any thread of the
 * server enters it. Calls ask and call.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "ask.h"
#include "connection.h"
#include "script_io.h"
#include "text.h"

struct script_range script_format_range(uint32_t count, uint64_t offset)
{
    struct script_range range;

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

static bool has_text(const struct buf *buf, const char *text)
{
    return buf->length > 0 && memmem(buf->data, buf->length, text, strlen(text));
}

/*
 * Is this what dd(1) prints whose numbers are of blocks? It is longer by a factor
 * of the block size, unless the file is too short for that; or nothing, where
 * the offset in blocks lies beyond the file's end.
 */
static bool has_counted_blocks(size_t printed, uint32_t count, const struct buf *errors)
{
    enum { SMALLEST_BLOCK = 512 };

    if (printed < count)
        return has_text(errors, "cannot skip");
    return has_text(errors, "records out") ||
           (printed % count == 0 && printed / count % SMALLEST_BLOCK == 0);
}

int script_pread(const struct connection *connection, void *buffer, uint32_t count, uint64_t offset)
{
    struct script_range range = script_format_range(count, offset);
    struct buf output = BUF_OVER(buffer, count);
    BUF_GROWING(errors, CALL_ERRORS_MAX);
    struct call call = {
        .method = "pread",
        .arguments = CALL_ARGUMENTS(connection->handle, range.count, range.offset),
        .output = &output,
        .errors = &errors,
        .missing_hint = "a disk needs it: print $3 bytes of it from offset $4 on",
    };

    if (call_run(&call) != STATUS_OK)
        return -1;
    size_t printed = output.length + output.dropped;
    if (printed == count)
        return 0;
    return call_refuse(&call, EIO,
                       "printed %zu byte%s instead of %" PRIu32 ": print exactly the $3 bytes that "
                       "are asked for, and nothing else%s",
                       printed, TEXT_PLURAL(printed), count,
                       has_counted_blocks(printed, count, &errors)
                           ? "; dd counts blocks: iflag=count_bytes,skip_bytes"
                           : "");
}

int script_pwrite(const struct connection *connection, const void *buffer, uint32_t count,
                  uint64_t offset, uint32_t flags)
{
    struct script_range range = script_format_range(count, offset);

    return ask_required((struct call){
        .method = "pwrite",
        .arguments =
            CALL_ARGUMENTS(connection->handle, range.count, range.offset, get_flag_words(flags)),
        .input = buffer,
        .input_length = count,
        .missing_hint = CALL_PROMISED_BY("can_write"),
    });
}

/*
 * A script may say that it can do what it has no method for. What is no more
 * than a hint of the client's then does nothing, as in nbdkit.
 */

int script_flush(const struct connection *connection)
{
    enum status_result result = ask_status("flush", CALL_ARGUMENTS(connection->handle));

    if (result == STATUS_MISSING)
        CALL_HINT_ONCE(
            "flush", "there is no such method, so that a flush does nothing, but " CALL_PROMISED_BY(
                         "can_flush"));
    return result == STATUS_ERROR ? -1 : 0;
}

int script_trim(const struct connection *connection, uint32_t count, uint64_t offset,
                uint32_t flags)
{
    struct script_range range = script_format_range(count, offset);

    return ask_optional("trim", CALL_ARGUMENTS(connection->handle, range.count, range.offset,
                                               get_flag_words(flags)));
}

/* The server answers EOPNOTSUPP by writing zeroes, which is all that a script without it lacks. */
int script_zero(const struct connection *connection, uint32_t count, uint64_t offset,
                uint32_t flags)
{
    struct script_range range = script_format_range(count, offset);

    enum status_result result =
        ask_status("zero", CALL_ARGUMENTS(connection->handle, range.count, range.offset,
                                          get_flag_words(flags)));

    if (result == STATUS_OK)
        return 0;
    if (result == STATUS_MISSING) {
        CALL_HINT_ONCE("zero", "there is no such method, so that zeroes are written with pwrite, "
                               "but " CALL_PROMISED_BY("can_zero"));
        nbdkit_set_error(EOPNOTSUPP);
        errno = EOPNOTSUPP;
    }
    return -1;
}

int script_cache(const struct connection *connection, uint32_t count, uint64_t offset)
{
    struct script_range range = script_format_range(count, offset);

    return ask_optional("cache", CALL_ARGUMENTS(connection->handle, range.count, range.offset));
}
