/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading a socket awake. A client that sends its next request as soon as it
 * has a reply finds a reader that has not gone to sleep, which saves the time
 * of waking it up, most of a small request's. A reader lingers only where
 * there is a processor for it, one for the clients and one for each other
 * reader that is busy; it gives its own to whoever wants it.
 */
#ifndef LINGER_H
#define LINGER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Of one socket. Its reader's; zeroes at first. */
struct linger_state {
    bool is_wanted; /* by whoever reads; false: it sleeps at once */
    bool was_short; /* the last wait */
    unsigned next_number;
    unsigned calm_count;
};

/* As recv(2) without flags: waits, awake where that is worthwhile. */
ssize_t linger_recv(struct linger_state *state, int fd, void *buffer, size_t length);

#endif
