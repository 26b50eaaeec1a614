// SPDX-License-Identifier: BSD-3-Clause
/*
 * Strings that plugins give away: nbdkit_strdup_intern() and its family. Owns
 * those that belong to no connection. Entered by any thread; calls api, conn
 * and intern.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "conn.h"
#include "intern.h"
#define NBDKIT_API_VERSION 2
#include "nbdkit-plugin.h"

static struct intern global_strings = INTERN_INITIALISER;

const char *api_intern(char *string)
{
    struct conn *conn = api_get_conn();
    struct intern *strings = conn ? &conn->intern : &global_strings;
    const char *kept = string ? intern_keep(strings, string) : NULL;

    if (!kept)
        nbdkit_error("cannot keep a string: %m");
    return kept;
}

void api_free_strings(void)
{
    intern_free(&global_strings);
}

static const char *refuse_null(const char *caller)
{
    nbdkit_error("%s: there is no string, only NULL", caller);
    errno = EINVAL;
    return NULL;
}

const char *nbdkit_strdup_intern(const char *str)
{
    return str ? api_intern(strdup(str)) : refuse_null("nbdkit_strdup_intern");
}

const char *nbdkit_strndup_intern(const char *str, size_t n)
{
    return str ? api_intern(strndup(str, n)) : refuse_null("nbdkit_strndup_intern");
}

const char *nbdkit_vprintf_intern(const char *format, va_list args)
{
    char *string;

    return api_intern(vasprintf(&string, format, args) < 0 ? NULL : string);
}

const char *nbdkit_printf_intern(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    const char *string = nbdkit_vprintf_intern(format, args);
    va_end(args);
    return string;
}
