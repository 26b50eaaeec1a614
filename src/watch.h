/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Notices who takes long over something, at next to no cost to who does not:
 * one thread of the server looks every few milliseconds, while there is
 * anything to look at.
 */
#ifndef WATCH_H
#define WATCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* What takes longer has been noticed by then, on a machine that is not overloaded. */
enum { WATCH_NOTICE_MS = 4 };

/* One that is watched. All but `on_stuck` is the functions' own. */
struct watched {
    /* The same section has lasted a while; called again until it ends. In the thread that looks. */
    void (*on_stuck)(struct watched *watched, uint64_t turn);
    _Atomic uint64_t turn; /* odd in a section */
    _Atomic bool is_listed;
    uint64_t seen_turn; /* under the list's lock, and what follows */
    unsigned still_ticks;
    struct watched *next;
};

/* Begins a section; returns its turn. One thread at a time. Must not hold what on_stuck() locks. */
uint64_t watch_begin(struct watched *watched);

/*
 * Ends the section `turn`. Returns true to one thread only: to the section's
 * own, or to the first that calls it in the meantime to take over.
 */
bool watch_end(struct watched *watched, uint64_t turn);

/* Nobody will look at it any more; waits for who does. Outside of sections. */
void watch_forget(struct watched *watched);

/* Ends the thread that looks. Main thread, when nothing is watched. */
void watch_stop(void);

#endif
