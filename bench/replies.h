/* SPDX-License-Identifier: BSD-3-Clause */
/* The server's replies, out of the stream. One thread. */
#ifndef REPLIES_H
#define REPLIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "slots.h"

struct replies {
    struct slots *slots;
    uint32_t block_bytes;
    bool is_structured;
    bool must_verify;
    /* Called with each slot whose request has been answered in full; it releases it. */
    void (*finish)(void *context, struct slot *slot);
    void *context;

    /* What follows is this module's own. */
    unsigned char *buffer;
    size_t bytes; /* in the buffer; between calls no more than the start of a header */
    /* The payload that is being received. */
    struct slot *slot;
    size_t data_bytes;
    uint64_t data_offset;
    bool is_last; /* the slot is finished after it */
};

/* Makes room; the first members have been set by the caller. */
void replies_init(struct replies *replies);
void replies_free(struct replies *replies);

/*
 * Receives once from a socket, and waits for the server if it must. Ends the
 * process if the server ends the connection.
 */
void replies_receive(struct replies *replies, int fd);

/* Finishes all that is answered by what was received. Ends the process if the server errs. */
void replies_take(struct replies *replies);

#endif
