/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns bounded buffers. A buffer is used by one thread; calls libc only. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "buf.h"

#define FIRST_CAPACITY 4096

/* Makes room for at least one more byte; the limit has not been reached. */
static int grow(struct buf *buf)
{
    size_t capacity = buf->capacity == 0 ? FIRST_CAPACITY : buf->capacity * 4;

    if (capacity > buf->limit)
        capacity = buf->limit;
    char *data = realloc(buf->data, capacity + 1);
    if (data == NULL)
        return -1;
    buf->data = data;
    buf->capacity = capacity;
    return 0;
}

static ssize_t read_and_drop(struct buf *buf, int fd)
{
    char surplus[16384];
    ssize_t count = read(fd, surplus, sizeof(surplus));

    if (count > 0)
        buf->dropped += (size_t)count;
    return count;
}

ssize_t buf_read_fd(struct buf *buf, int fd)
{
    if (buf->length == buf->limit)
        return read_and_drop(buf, fd);
    if (buf->length == buf->capacity && grow(buf) < 0)
        return -1;
    ssize_t count = read(fd, buf->data + buf->length, buf->capacity - buf->length);
    if (count > 0)
        buf->length += (size_t)count;
    if (!buf->is_callers)
        buf->data[buf->length] = '\0';
    return count;
}

char *buf_get_text(struct buf *buf)
{
    static char empty[1];

    return buf->data == NULL ? empty : buf->data;
}

void buf_drop_newline(struct buf *buf)
{
    if (buf->length > 0 && buf->data[buf->length - 1] == '\n')
        buf->data[--buf->length] = '\0';
}

void buf_release(struct buf *buf)
{
    if (!buf->is_callers)
        free(buf->data);
    *buf = (struct buf){ 0 };
}
