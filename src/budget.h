/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory that requests may hold, from when one is read until it is
 * answered: a limit for the whole server, of which one connection gets a quarter
 * at most. Whoever finds none left waits, in the order of arrival. While somebody
 * waits, a client that holds memory and leaves the server waiting for it is
 * dropped after a few seconds.
 */
#ifndef BUDGET_H
#define BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "progress.h"

struct transport;

/* A connection's part; the members are budget.c's. */
struct budget_account {
    _Atomic uint64_t held; /* bytes */
    _Atomic bool is_abandoned;
    _Atomic bool is_dropped;
    struct transport *transport;
    struct progress sending;     /* turns of a few MiB; seen under the budget's lock */
    struct progress receiving;   /* the same */
    struct budget_account *next; /* under the budget's lock */
    struct budget_account **link;
};

/* Sets the limit, in bytes. Main thread, before the first client. */
void budget_init(uint64_t max_bytes);

/* What one connection may hold: no request can have more. */
uint64_t budget_get_share(void);

/* Opens an account, and closes it, with nothing held. `transport` stays the caller's. */
void budget_open(struct budget_account *account, struct transport *transport);
void budget_close(struct budget_account *account);

/*
 * Takes `bytes`, at most budget_get_share() of them; may wait. Returns 0, or -1
 * after budget_abandon(). One thread of the connection at a time.
 */
int budget_take(struct budget_account *account, uint64_t bytes);

/* Gives them back. Any thread. */
void budget_give(struct budget_account *account, uint64_t bytes);

/* Nobody is to wait on behalf of the connection any more. Any thread. */
void budget_abandon(struct budget_account *account);

/* Was the stream ended because its client holds memory that others wait for? Any thread. */
bool budget_was_dropped(struct budget_account *account);

#endif
