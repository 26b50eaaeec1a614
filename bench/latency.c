/* SPDX-License-Identifier: BSD-3-Clause */

/* The histogram: 64 steps for each power of two. */

#include "latency.h"

#include <time.h>

enum { STEP_BITS = 6 };
_Static_assert(1 << STEP_BITS == LATENCY_STEPS, "the steps are a power of two");

uint64_t latency_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static unsigned bucket_of(uint64_t taken_ns)
{
    unsigned power;

    if (taken_ns < LATENCY_STEPS)
        return (unsigned)taken_ns;
    power = 63 - (unsigned)__builtin_clzll(taken_ns);
    return (power - STEP_BITS + 1) * LATENCY_STEPS +
           (unsigned)((taken_ns >> (power - STEP_BITS)) % LATENCY_STEPS);
}

/* The least time that belongs to a bucket. */
static uint64_t start_of(unsigned bucket)
{
    if (bucket < LATENCY_STEPS)
        return bucket;
    return (uint64_t)(LATENCY_STEPS + bucket % LATENCY_STEPS) << (bucket / LATENCY_STEPS - 1);
}

void latency_add(struct latency *latency, uint64_t taken_ns)
{
    latency->counts[bucket_of(taken_ns)]++;
    latency->total++;
    latency->sum_ns += taken_ns;
    if (taken_ns > latency->maximum_ns)
        latency->maximum_ns = taken_ns;
}

void latency_merge(struct latency *latency, const struct latency *other)
{
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
        latency->counts[i] += other->counts[i];
    latency->total += other->total;
    latency->sum_ns += other->sum_ns;
    if (other->maximum_ns > latency->maximum_ns)
        latency->maximum_ns = other->maximum_ns;
}

uint64_t latency_percentile_ns(const struct latency *latency, double percent)
{
    double wanted = (double)latency->total * percent / 100;
    uint64_t seen = 0;

    for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
        seen += latency->counts[i];
        if (seen > 0 && (double)seen >= wanted)
            return start_of(i);
    }
    return 0;
}

double latency_mean_ns(const struct latency *latency)
{
    return latency->total == 0 ? 0 : (double)latency->sum_ns / (double)latency->total;
}
