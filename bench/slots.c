/* SPDX-License-Identifier: BSD-3-Clause */

/* Slots come and go in a stack, so that a shallow queue stays in the cache. */

#include "slots.h"

#include <stdlib.h>

#include "fail.h"

#define NUMBER_BITS 16
#define NUMBER_MASK ((UINT64_C(1) << NUMBER_BITS) - 1)

void slots_init(struct slots *slots, unsigned depth)
{
    *slots = (struct slots){
        .slots = fail_calloc(depth, sizeof *slots->slots),
        .depth = depth,
        .idle = fail_calloc(depth, sizeof *slots->idle),
        .idle_count = depth,
    };
    for (unsigned i = 0; i < depth; i++) {
        slots->idle[i] = depth - 1 - i;
        slots->slots[i].cookie = i;
    }
}

void slots_free(struct slots *slots)
{
    free(slots->slots);
    free(slots->idle);
}

unsigned slots_take(struct slots *slots)
{
    unsigned number = slots->idle[--slots->idle_count];
    struct slot *slot = &slots->slots[number];

    slot->cookie += UINT64_C(1) << NUMBER_BITS;
    slot->got_bytes = 0;
    slot->is_busy = true;
    return number;
}

struct slot *slots_find(struct slots *slots, uint64_t cookie)
{
    uint64_t number = cookie & NUMBER_MASK;
    struct slot *slot;

    if (number >= slots->depth)
        return NULL;
    slot = &slots->slots[number];
    return slot->is_busy && slot->cookie == cookie ? slot : NULL;
}

void slots_release(struct slots *slots, struct slot *slot)
{
    slot->is_busy = false;
    slots->idle[slots->idle_count++] = (unsigned)(slot - slots->slots);
}
