/* SPDX-License-Identifier: BSD-3-Clause */
/* How long requests took: a histogram, to a sixty-fourth. Each thread has its own. */
#ifndef LATENCY_H
#define LATENCY_H

#include <stdint.h>

enum { LATENCY_STEPS = 64, LATENCY_BUCKETS = LATENCY_STEPS * 59 };

struct latency {
    uint64_t counts[LATENCY_BUCKETS];
    uint64_t total;
    uint64_t sum_ns;
    uint64_t maximum_ns;
};

/* The present time of the clock that everything here is measured with. */
uint64_t latency_now_ns(void);

void latency_add(struct latency *latency, uint64_t taken_ns);

/* Adds what `other` has. */
void latency_merge(struct latency *latency, const struct latency *other);

/* The time in which `percent` of all were done; 0 if there were none. */
uint64_t latency_percentile_ns(const struct latency *latency, double percent);

/* 0 if there were none. */
double latency_mean_ns(const struct latency *latency);

#endif
