/* SPDX-License-Identifier: BSD-3-Clause */

/* The headers stand one behind the other, so that reads go out as a single piece. */

#include "outbox.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "fail.h"

void outbox_init(struct outbox *outbox, int fd, unsigned depth)
{
    *outbox = (struct outbox){
        .fd = fd,
        .headers = fail_calloc(depth, WIRE_COMPACT_REQUEST_BYTES),
        .vectors = fail_calloc(depth, 2 * sizeof *outbox->vectors),
    };
}

void outbox_free(struct outbox *outbox)
{
    free(outbox->headers);
    free(outbox->vectors);
}

/* Adds to the last vector where that is possible. */
static void add_vector(struct outbox *outbox, void *data, size_t bytes)
{
    if (outbox->vector_count > 0) {
        struct iovec *last = &outbox->vectors[outbox->vector_count - 1];

        if ((char *)last->iov_base + last->iov_len == data) {
            last->iov_len += bytes;
            return;
        }
    }
    outbox->vectors[outbox->vector_count++] = (struct iovec){ data, bytes };
}

void outbox_add(struct outbox *outbox, const struct wire_request *request, const void *payload,
                size_t bytes)
{
    unsigned char *header = outbox->headers + outbox->header_bytes;

    memcpy(header, request, WIRE_COMPACT_REQUEST_BYTES);
    outbox->header_bytes += WIRE_COMPACT_REQUEST_BYTES;
    add_vector(outbox, header, WIRE_COMPACT_REQUEST_BYTES);
    if (bytes > 0)
        /* sendmsg() does not write to it. */
        add_vector(outbox, (void *)(uintptr_t)payload, bytes);
}

/* The first `bytes` of what is to be sent have been. */
static void drop_sent(struct outbox *outbox, size_t bytes)
{
    while (bytes > 0) {
        struct iovec *vector = &outbox->vectors[outbox->sent_count];

        if (bytes < vector->iov_len) {
            vector->iov_base = (char *)vector->iov_base + bytes;
            vector->iov_len -= bytes;
            return;
        }
        bytes -= vector->iov_len;
        outbox->sent_count++;
    }
}

bool outbox_flush(struct outbox *outbox)
{
    while (outbox->sent_count < outbox->vector_count) {
        size_t count = outbox->vector_count - outbox->sent_count;
        struct msghdr message = {
            .msg_iov = outbox->vectors + outbox->sent_count,
            .msg_iovlen = count < IOV_MAX ? count : IOV_MAX,
        };
        ssize_t sent = sendmsg(outbox->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (sent < 0 && errno == EAGAIN)
            return false;
        if (sent < 0)
            fail_errno("cannot send to the server");
        drop_sent(outbox, (size_t)sent);
    }
    outbox->vector_count = outbox->sent_count = outbox->header_bytes = 0;
    return true;
}
