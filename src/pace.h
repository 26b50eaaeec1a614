/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long a plugin takes over requests of one kind, as far as that matters:
 * are they quick enough to be done one after the other?
 */
#ifndef PACE_H
#define PACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct request;

/* A kind of requests; zeroed: nothing is known of it, which counts as slow. Any thread. */
struct pace {
    _Atomic unsigned score; /* rises with quick calls and falls with slow ones */
};

/* Room for every kind. */
struct paces {
    struct pace kinds[64];
};

struct pace *pace_find(struct paces *paces, const struct request *request);

bool pace_is_slow(struct pace *pace);

/* One of the kind has taken so long. */
void pace_note(struct pace *pace, int64_t took_ns);

#endif
