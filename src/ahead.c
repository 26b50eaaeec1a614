// SPDX-License-Identifier: BSD-3-Clause
/* Owns the memory of a read-ahead. Entered by a stream's reader; calls nothing of ours. */
#include "ahead.h"

#include <string.h>
#include <sys/mman.h>

/* Below this, room at the end is not worth a system call. */
enum { ROOM_MIN_BYTES = AHEAD_BYTES / 4 };

int ahead_init(struct ahead *ahead)
{
    /* Pages of its own: what was never read ahead costs nothing, and goes back when idle. */
    void *data =
        mmap(NULL, AHEAD_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    *ahead = (struct ahead){ .data = data == MAP_FAILED ? NULL : data };
    return ahead->data ? 0 : -1;
}

void ahead_free(struct ahead *ahead)
{
    if (ahead->data)
        munmap(ahead->data, AHEAD_BYTES);
    ahead->data = NULL;
}

size_t ahead_count(const struct ahead *ahead)
{
    return ahead->end - ahead->begin;
}

char *ahead_peek(const struct ahead *ahead)
{
    return ahead->data + ahead->begin;
}

size_t ahead_take(struct ahead *ahead, void *buffer, size_t length)
{
    size_t available = ahead_count(ahead);
    size_t taken = length < available ? length : available;

    if (buffer)
        memcpy(buffer, ahead_peek(ahead), taken);
    ahead->begin += taken;
    return taken;
}

char *ahead_make_room(struct ahead *ahead, size_t *room)
{
    size_t count = ahead_count(ahead);

    if (count == 0 || AHEAD_BYTES - ahead->end < ROOM_MIN_BYTES) {
        memmove(ahead->data, ahead_peek(ahead), count);
        ahead->begin = 0;
        ahead->end = count;
    }
    *room = AHEAD_BYTES - ahead->end;
    return ahead->data + ahead->end;
}

void ahead_add(struct ahead *ahead, size_t count)
{
    ahead->end += count;
}

void ahead_rest(struct ahead *ahead)
{
    madvise(ahead->data, AHEAD_BYTES, MADV_DONTNEED);
}

void ahead_copy(const struct ahead *ahead, struct ahead *copy)
{
    copy->begin = 0;
    copy->end = ahead_count(ahead);
    memcpy(copy->data, ahead_peek(ahead), copy->end);
}
