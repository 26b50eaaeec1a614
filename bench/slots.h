/* SPDX-License-Identifier: BSD-3-Clause */
/* The requests that a connection has in flight: a slot each. One thread. */
#ifndef SLOTS_H
#define SLOTS_H

#include <stdbool.h>
#include <stdint.h>

struct slot {
    uint64_t cookie; /* the slot's number in the low bits, above it how often it was used */
    uint64_t block;
    uint64_t offset;
    uint64_t sent_ns;
    uint32_t version;   /* of the data that is written, or should be read */
    uint32_t got_bytes; /* of what is read */
    bool is_busy;
    bool is_write;
};

struct slots {
    struct slot *slots;
    unsigned depth;
    unsigned *idle; /* a stack of the numbers of slots that are not busy */
    unsigned idle_count;
};

void slots_init(struct slots *slots, unsigned depth);
void slots_free(struct slots *slots);

/* Makes an idle slot a busy one with a new cookie; there must be one. Returns its number. */
unsigned slots_take(struct slots *slots);

/* Returns the busy slot of a cookie, or NULL: no request of this cookie is in flight. */
struct slot *slots_find(struct slots *slots, uint64_t cookie);

void slots_release(struct slots *slots, struct slot *slot);

static inline unsigned slots_count_busy(const struct slots *slots)
{
    return slots->depth - slots->idle_count;
}

#endif
