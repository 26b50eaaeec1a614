/* SPDX-License-Identifier: BSD-3-Clause */

/* Messages and the end. Several threads may come to a bad end at a time: one message is shown. */

#include "fail.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void say(const char *format, va_list arguments, const char *colon, const char *reason)
    __attribute__((__format__(printf, 1, 0)));

/* The first thread that comes here is the last to go on. */
static void say(const char *format, va_list arguments, const char *colon, const char *reason)
{
    static atomic_flag has_failed = ATOMIC_FLAG_INIT;

    while (atomic_flag_test_and_set(&has_failed))
        pause(); /* the other one's _exit() ends this one */
    fprintf(stderr, "%s: error: ", program_invocation_short_name);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "%s%s\n", colon, reason);
}

void fail(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    say(format, arguments, "", "");
    va_end(arguments);
    _exit(EXIT_FAILURE);
}

void fail_errno(const char *format, ...)
{
    const char *reason = strerror(errno);
    va_list arguments;

    va_start(arguments, format);
    say(format, arguments, ": ", reason);
    va_end(arguments);
    _exit(EXIT_FAILURE);
}

void *fail_calloc(size_t count, size_t bytes)
{
    void *memory = calloc(count, bytes);

    if (memory == NULL)
        fail("there is no memory for %zu times %zu bytes", count, bytes);
    return memory;
}
