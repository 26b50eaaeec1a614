// SPDX-License-Identifier: BSD-3-Clause
/* Owns what is known of the time that requests take. Any thread; calls nothing of ours. */
#include "pace.h"

#include "request.h"
#include "wire.h"

enum {
    SLOW_NS = 100 * 1000, /* some times as long as it takes to hand over to another thread */
    QUICK_SCORE = 16,
    SCORE_MAX = 32,
    SLOW_PENALTY = 8, /* of a call that was slow; a quick one gains 1 */
};

_Static_assert(NBD_CMD_BLOCK_STATUS < 16, "a kind for each command, size and FUA");

struct pace *pace_find(struct paces *paces, const struct request *request)
{
    bool is_known = request->type <= NBD_CMD_BLOCK_STATUS;
    unsigned command = is_known ? request->type : NBD_CMD_BLOCK_STATUS;
    unsigned kind = (unsigned)request->is_small + (request->flags & NBD_CMD_FLAG_FUA ? 2 : 0);

    return &paces->kinds[4 * command + kind];
}

bool pace_is_slow(struct pace *pace)
{
    return atomic_load_explicit(&pace->score, memory_order_relaxed) < QUICK_SCORE;
}

void pace_note(struct pace *pace, int64_t took_ns)
{
    unsigned score = atomic_load_explicit(&pace->score, memory_order_relaxed);

    if (took_ns < SLOW_NS)
        score = score < SCORE_MAX ? score + 1 : SCORE_MAX;
    else
        score = score > SLOW_PENALTY ? score - SLOW_PENALTY : 0;
    atomic_store_explicit(&pace->score, score, memory_order_relaxed);
}
