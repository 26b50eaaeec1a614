// SPDX-License-Identifier: BSD-3-Clause
/* Owns the replies that wait. Entered by the session's leading thread; calls nothing of ours. */
#include "outbox.h"

#include <string.h>
#include <sys/mman.h>

/* Data begins at multiples of this. */
enum { ALIGNMENT = 64 };

struct outbox *outbox_new(void)
{
    /* Zeroes, in pages of its own: they go back when the client is idle. */
    void *memory = mmap(NULL, sizeof(struct outbox), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

void outbox_free(struct outbox *outbox)
{
    if (outbox)
        munmap(outbox, sizeof *outbox);
}

bool outbox_is_empty(const struct outbox *outbox)
{
    return outbox->vector_count == 0;
}

bool outbox_has_room(const struct outbox *outbox, size_t data_bytes)
{
    return OUTBOX_DATA_BYTES - outbox->data_used >= data_bytes &&
           OUTBOX_HEAD_BYTES - outbox->heads_used >= OUTBOX_REPLY_HEAD_BYTES &&
           OUTBOX_VECTORS - outbox->vector_count >= OUTBOX_REPLY_VECTORS;
}

char *outbox_get_data(struct outbox *outbox)
{
    return outbox->data + outbox->data_used;
}

static void add_vector(struct outbox *outbox, char *base, size_t length)
{
    if (outbox->vector_count > 0) {
        struct iovec *last = &outbox->vectors[outbox->vector_count - 1];
        if ((char *)last->iov_base + last->iov_len == base) {
            last->iov_len += length;
            return;
        }
    }
    outbox->vectors[outbox->vector_count++] = (struct iovec){ base, length };
}

static bool is_in_data(const struct outbox *outbox, const char *base)
{
    return base >= outbox->data && base < outbox->data + OUTBOX_DATA_BYTES;
}

void outbox_append(struct outbox *outbox, const struct iovec *vectors, int count)
{
    for (int i = 0; i < count; i++) {
        char *base = vectors[i].iov_base;
        size_t length = vectors[i].iov_len;
        if (length == 0)
            continue;
        if (is_in_data(outbox, base)) {
            size_t end = (size_t)(base - outbox->data) + length;
            outbox->data_used = (end + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        } else {
            base = memcpy(outbox->heads + outbox->heads_used, base, length);
            outbox->heads_used += length;
        }
        add_vector(outbox, base, length);
    }
}

void outbox_clear_replies(struct outbox *outbox)
{
    outbox->vector_count = 0;
    outbox->heads_used = 0;
}

void outbox_clear(struct outbox *outbox)
{
    outbox_clear_replies(outbox);
    outbox->data_used = 0;
}
