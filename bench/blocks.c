/* SPDX-License-Identifier: BSD-3-Clause */

/* Which block is next, and what it should contain. */

#include "blocks.h"

#include <stdlib.h>

#include "fail.h"

void blocks_init(struct blocks *blocks, uint64_t first, uint64_t count, uint64_t random,
                 bool is_random, bool must_verify)
{
    *blocks = (struct blocks){
        .first = first,
        .count = count,
        .random = (random + 1) * UINT64_C(0x9e3779b97f4a7c15),
        .is_random = is_random,
    };
    if (must_verify) {
        blocks->versions = fail_calloc(count, sizeof *blocks->versions);
        blocks->is_busy = fail_calloc(count, sizeof *blocks->is_busy);
    }
}

void blocks_free(struct blocks *blocks)
{
    free(blocks->versions);
    free(blocks->is_busy);
}

/* A number of 32 bits: Marsaglia's xorshift, cheap and good enough to spread offsets. */
static uint64_t next_random(struct blocks *blocks)
{
    blocks->random ^= blocks->random << 13;
    blocks->random ^= blocks->random >> 7;
    blocks->random ^= blocks->random << 17;
    return blocks->random >> 32;
}

static uint64_t step(struct blocks *blocks)
{
    uint64_t block = blocks->next;

    blocks->next = block + 1 < blocks->count ? block + 1 : 0;
    return block;
}

uint64_t blocks_pick(struct blocks *blocks)
{
    uint64_t block;

    if (blocks->is_random)
        blocks->next = next_random(blocks) * blocks->count >> 32;
    do {
        block = step(blocks);
    } while (blocks->is_busy != NULL && blocks->is_busy[block]);
    if (blocks->is_busy != NULL)
        blocks->is_busy[block] = true;
    return block;
}

void blocks_release(struct blocks *blocks, uint64_t block)
{
    if (blocks->is_busy != NULL)
        blocks->is_busy[block] = false;
}

void blocks_rewind(struct blocks *blocks, bool is_random)
{
    blocks->next = 0;
    blocks->is_random = is_random;
}

bool blocks_toss(struct blocks *blocks, unsigned percent)
{
    if (percent == 0 || percent == 100)
        return percent == 100;
    return next_random(blocks) % 100 < percent;
}
