/* SPDX-License-Identifier: BSD-3-Clause */
/* The blocks of the disk that a connection uses: its own if data is verified. One thread. */
#ifndef BLOCKS_H
#define BLOCKS_H

#include <stdbool.h>
#include <stdint.h>

struct blocks {
    uint64_t first;
    uint64_t count;
    uint64_t next; /* counted from the first, as all block numbers here */
    uint64_t random;
    bool is_random;
    /* How often each block has been written, if data is verified, otherwise NULL. */
    uint32_t *versions;
    bool *is_busy;
};

/* `random` differs from connection to connection. */
void blocks_init(struct blocks *blocks, uint64_t first, uint64_t count, uint64_t random,
                 bool is_random, bool must_verify);

void blocks_free(struct blocks *blocks);

/*
 * Returns the block for the next request. If data is verified it is busy then, and was not:
 * nobody can say what overlapping requests should find. Fewer than all may be busy.
 */
uint64_t blocks_pick(struct blocks *blocks);

/* The request for a block has been answered. */
void blocks_release(struct blocks *blocks, uint64_t block);

/* Starts at the first block again, and takes them in order or not. */
void blocks_rewind(struct blocks *blocks, bool is_random);

/* Returns true in so many cases of a hundred. */
bool blocks_toss(struct blocks *blocks, unsigned percent);

#endif
