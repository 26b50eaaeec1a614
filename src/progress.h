/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Does a client do its part of an exchange? One thread does the exchange, and
 * says when it waits for the client; another one looks, now and then.
 */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Whoever leaves others waiting for so long, and does nothing, is dropped. */
enum { PROGRESS_PATIENCE_MS = 5000 };

struct progress {
    _Atomic unsigned turn; /* odd while the server waits for the client */
    unsigned seen_turn;    /* when somebody last looked; whoever looks */
    int64_t seen_at_ms;
};

/* Brackets around a wait for the client. */
static inline void progress_begin_turn(struct progress *progress)
{
    atomic_fetch_add(&progress->turn, 1);
}

static inline void progress_end_turn(struct progress *progress)
{
    atomic_fetch_add(&progress->turn, 1);
}

/* Has the server waited in one and the same turn since the patience began, or longer? */
static inline bool progress_is_stuck(struct progress *progress, int64_t now_ms)
{
    unsigned turn = atomic_load(&progress->turn);

    if (turn % 2 == 1 && turn == progress->seen_turn)
        return now_ms - progress->seen_at_ms >= PROGRESS_PATIENCE_MS;
    progress->seen_turn = turn;
    progress->seen_at_ms = now_ms;
    return false;
}

#endif
