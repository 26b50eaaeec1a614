// SPDX-License-Identifier: BSD-3-Clause
/*
 * Reads files of credentials. Owns nothing. Entered by the main thread at
 * start-up; calls nothing of ours.
 */
#include "tls_file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum tls_outcome tls_file_fail(struct tls_fault *fault, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(fault->text, sizeof fault->text, format, args);
    va_end(args);
    size_t length = strlen(fault->text);
    if (length > 0 && fault->text[length - 1] == '.')
        fault->text[length - 1] = '\0';
    return TLS_BROKEN;
}

enum tls_outcome tls_file_load(const char *path, gnutls_datum_t *content, struct tls_fault *fault)
{
    errno = 0;
    if (gnutls_load_file(path, content) == 0)
        return TLS_LOADED;
    int error = errno;
    tls_file_fail(fault, "cannot read %s: %s", path,
                  error ? strerrordesc_np(error) : "is it a regular file?");
    return error == ENOENT ? TLS_NOTHING_THERE : TLS_BROKEN;
}

void tls_file_forget(gnutls_datum_t *content)
{
    if (content->data)
        gnutls_memset(content->data, 0, content->size);
    gnutls_free(content->data);
}
