// SPDX-License-Identifier: BSD-3-Clause
/*
 * Reads files of credentials. Owns nothing. Entered by the main thread at
 * start-up; calls files.
 */
#include "tls_file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "files.h"

/* All authorities of a machine take 0.3 MiB. */
enum { ROOM_BYTES = 64 * 1024, ROOM_MAX_BYTES = 16 * 1024 * 1024 };

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

/* Moves the content to twice the room; no copy of a key stays behind. Returns 0, or -1 with errno.
 */
static int grow(gnutls_datum_t *content, unsigned *room)
{
    unsigned size = content->size;
    unsigned char *larger = NULL;

    *room = *room ? 2 * *room : ROOM_BYTES;
    if (*room > ROOM_MAX_BYTES)
        errno = EFBIG;
    else
        larger = gnutls_malloc(*room);
    if (!larger)
        return -1;
    if (size > 0)
        memcpy(larger, content->data, size);
    tls_file_forget(content);
    *content = (gnutls_datum_t){ larger, size };
    return 0;
}

/* Reads to the end, and adds a NUL. Returns 0, or -1 with errno. */
static int read_all(int fd, gnutls_datum_t *content)
{
    unsigned room = 0;
    ssize_t got;

    do {
        if (content->size + 1 >= room && grow(content, &room) < 0)
            return -1;
        got = read(fd, content->data + content->size, room - content->size - 1);
        content->size += got > 0 ? (unsigned)got : 0;
    } while (got > 0);
    content->data[content->size] = '\0';
    return (int)got;
}

enum tls_outcome tls_file_load(const char *path, gnutls_datum_t *content, struct tls_fault *fault)
{
    CLEANUP_CLOSE int fd = files_open_to_read(path);

    *content = (gnutls_datum_t){ .data = NULL };
    if (fd >= 0 && read_all(fd, content) == 0)
        return TLS_LOADED;
    int error = errno;
    tls_file_forget(content);
    tls_file_fail(fault, "cannot read %s: %s", path, files_explain(error));
    return error == ENOENT ? TLS_NOTHING_THERE : TLS_BROKEN;
}

void tls_file_forget(gnutls_datum_t *content)
{
    if (content->data)
        gnutls_memset(content->data, 0, content->size);
    gnutls_free(content->data);
    *content = (gnutls_datum_t){ .data = NULL };
}
