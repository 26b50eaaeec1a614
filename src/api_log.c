// SPDX-License-Identifier: BSD-3-Clause
/*
 * The public nbdkit_* functions that write messages. Entered by any thread,
 * the plugin's own too; calls log.
 */
#include "api_log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "log.h"
#define NBDKIT_API_VERSION 2
#include "nbdkit-plugin.h"

enum { ROW_BYTES = 16 };

static _Thread_local char last_text[API_LOG_TEXT_MAX + 1];

const char *api_log_get_text(void)
{
    return last_text;
}

void api_log_clear_text(void)
{
    last_text[0] = '\0';
}

void nbdkit_verror(const char *format, va_list args)
{
    int saved_errno = errno;
    va_list again;

    va_copy(again, args);
    vsnprintf(last_text, sizeof last_text, format, again);
    va_end(again);
    errno = saved_errno;
    log_verror(format, args);
}

void nbdkit_error(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    nbdkit_verror(format, args);
    va_end(args);
}

void nbdkit_warning(const char *format, ...)
{
    int saved_errno = errno;
    CLEANUP_FREE char *text = NULL;
    va_list args;

    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    log_warning("%s", text ? text : "no memory for a message");
    errno = saved_errno;
}

void nbdkit_vdebug(const char *format, va_list args)
{
    log_vdebug(format, args);
}

void nbdkit_debug(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_vdebug(format, args);
    va_end(args);
}

/* "31 32 ... 38  39 ... 30  |12...90|": where a byte's digits and its character stand in a row. */
enum { GAP_COLUMN = ROW_BYTES / 2 * 3, TEXT_COLUMN = ROW_BYTES * 3 + 2 };

static void format_row(char row[static TEXT_COLUMN + ROW_BYTES + 3], const unsigned char *bytes,
                       size_t count)
{
    static const char digits[] = "0123456789abcdef";

    memset(row, ' ', TEXT_COLUMN);
    for (size_t i = 0; i < count; i++) {
        size_t column = 3 * i + (3 * i >= GAP_COLUMN);
        row[column] = digits[bytes[i] >> 4];
        row[column + 1] = digits[bytes[i] & 15];
        row[TEXT_COLUMN + 1 + i] = bytes[i] >= ' ' && bytes[i] <= '~' ? (char)bytes[i] : '.';
    }
    row[TEXT_COLUMN] = '|';
    row[TEXT_COLUMN + 1 + count] = '|';
    row[TEXT_COLUMN + 2 + count] = '\0';
}

/* One row; `mark` stands before the offset. */
static void log_row(const char *prefix, const char *mark, uint64_t offset,
                    const unsigned char *bytes, size_t count)
{
    char row[TEXT_COLUMN + ROW_BYTES + 3];

    format_row(row, bytes, count);
    log_debug("%s%s%08" PRIx64 ": %s", prefix ? prefix : "", mark, offset, row);
}

void nbdkit_debug_hexdump(const void *buf, size_t len, const char *prefix, uint64_t start)
{
    const unsigned char *bytes = buf;

    for (size_t i = 0; log_is_verbose() && i < len; i += ROW_BYTES)
        log_row(prefix, "", start + i, bytes + i, len - i < ROW_BYTES ? len - i : ROW_BYTES);
}

void nbdkit_debug_hexdiff(const void *buf1, const void *buf2, size_t len, const char *prefix,
                          uint64_t start)
{
    const unsigned char *ours = buf1;
    const unsigned char *theirs = buf2;

    for (size_t i = 0; log_is_verbose() && i < len; i += ROW_BYTES) {
        size_t count = len - i < ROW_BYTES ? len - i : ROW_BYTES;
        if (memcmp(ours + i, theirs + i, count) == 0)
            continue;
        log_row(prefix, "-", start + i, ours + i, count);
        log_row(prefix, "+", start + i, theirs + i, count);
    }
}

const char *nbdkit_timestamp(void)
{
    static _Thread_local char text[64];
    int saved_errno = errno;
    struct timespec now;
    struct tm local;

    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &local);
    size_t length = strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &local);
    snprintf(text + length, sizeof text - length, ".%06ld", now.tv_nsec / 1000);
    errno = saved_errno;
    return text;
}
