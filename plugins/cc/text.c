/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A leaf. Owns nothing; any thread may enter.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "text.h"

char *text_format(const char *format, ...)
{
    va_list args;
    char *text;

    va_start(args, format);
    int length = vasprintf(&text, format, args);
    va_end(args);
    if (length >= 0)
        return text;
    nbdkit_error("no memory");
    return NULL;
}

void text_free(char **text)
{
    free(*text);
}
