// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns the count of bytes in flight and the queue for more. Entered by every
 * thread of a session; calls transport, to drop a client.
 */
#include "budget.h"

#include <pthread.h>
#include <stddef.h>
#include <time.h>

#include "cleanup.h"
#include "clock.h"
#include "progress.h"
#include "transport.h"

enum {
    LOOK_EACH_MS = 500,
    SHARES = 4,
};

struct waiter {
    struct waiter *next;
};

static struct {
    uint64_t max_bytes;
    _Atomic uint64_t taken_bytes;
    _Atomic unsigned sleepers; /* threads that wait in here, for whatever */
    _Atomic bool has_queue;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct waiter *queue;            /* for bytes of the server; under lock */
    struct budget_account *accounts; /* under lock */
} budget = { .lock = PTHREAD_MUTEX_INITIALIZER };

void budget_init(uint64_t max_bytes)
{
    pthread_condattr_t monotonic;

    budget.max_bytes = max_bytes;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&budget.changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

uint64_t budget_get_share(void)
{
    return budget.max_bytes / SHARES;
}

void budget_open(struct budget_account *account, struct transport *transport)
{
    account->transport = transport;
    LOCK_SCOPE(&budget.lock);
    account->next = budget.accounts;
    account->link = &budget.accounts;
    if (account->next)
        account->next->link = &account->next;
    budget.accounts = account;
}

void budget_close(struct budget_account *account)
{
    LOCK_SCOPE(&budget.lock);

    *account->link = account->next;
    if (account->next)
        account->next->link = account->link;
}

static bool fits_share(struct budget_account *account, uint64_t bytes)
{
    return atomic_load(&account->held) + bytes <= budget_get_share();
}

/* Takes bytes of the server, if there are so many. */
static bool take_now(struct budget_account *account, uint64_t bytes)
{
    uint64_t taken = atomic_load(&budget.taken_bytes);

    do {
        if (taken + bytes > budget.max_bytes)
            return false;
    } while (!atomic_compare_exchange_weak(&budget.taken_bytes, &taken, taken + bytes));
    atomic_fetch_add(&account->held, bytes);
    return true;
}

/* Drops the clients that hold memory and do nothing for getting rid of it. */
static void drop_stuck(void)
{
    int64_t now_ms = clock_read_ms();

    for (struct budget_account *account = budget.accounts; account; account = account->next) {
        bool is_sending_stuck = progress_is_stuck(&account->sending, now_ms);
        bool is_receiving_stuck = progress_is_stuck(&account->receiving, now_ms);
        if (!is_sending_stuck && !is_receiving_stuck)
            continue;
        if (atomic_load(&account->held) == 0 || atomic_load(&account->is_abandoned))
            continue;
        atomic_store(&account->is_dropped, true);
        atomic_store(&account->is_abandoned, true);
        /* Its own threads see the end of the stream, and do the rest. */
        transport_wake_all(account->transport);
        pthread_cond_broadcast(&budget.changed);
    }
}

static void wait_a_little(void)
{
    struct timespec deadline;

    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_nsec += LOOK_EACH_MS * 1000000L;
    if (deadline.tv_nsec >= 1000000000) {
        deadline.tv_nsec -= 1000000000;
        deadline.tv_sec++;
    }
    pthread_cond_timedwait(&budget.changed, &budget.lock, &deadline);
}

static void join_queue(struct waiter *waiter)
{
    struct waiter **end = &budget.queue;

    while (*end)
        end = &(*end)->next;
    *end = waiter;
    atomic_store(&budget.has_queue, true);
}

static void leave_queue(struct waiter *waiter)
{
    struct waiter **link = &budget.queue;

    while (*link != waiter)
        link = &(*link)->next;
    *link = waiter->next;
    atomic_store(&budget.has_queue, budget.queue != NULL);
    /* The next one is the first now. */
    pthread_cond_broadcast(&budget.changed);
}

/* Waits until it is this one's turn and there are enough bytes. */
static int queue_up(struct budget_account *account, uint64_t bytes)
{
    struct waiter waiter = { NULL };
    bool is_done = false;

    join_queue(&waiter);
    while (!is_done && !atomic_load(&account->is_abandoned)) {
        is_done = budget.queue == &waiter && take_now(account, bytes);
        if (is_done)
            break;
        drop_stuck();
        wait_a_little();
    }
    leave_queue(&waiter);
    return is_done ? 0 : -1;
}

static int wait_and_take(struct budget_account *account, uint64_t bytes)
{
    LOCK_SCOPE(&budget.lock);
    int result = -1;

    /* Counted before looking again: who gives back from here on sees it and wakes us. */
    atomic_fetch_add(&budget.sleepers, 1);
    while (!fits_share(account, bytes) && !atomic_load(&account->is_abandoned))
        pthread_cond_wait(&budget.changed, &budget.lock);
    if (!atomic_load(&account->is_abandoned))
        result = queue_up(account, bytes);
    atomic_fetch_sub(&budget.sleepers, 1);
    return result;
}

int budget_take(struct budget_account *account, uint64_t bytes)
{
    if (bytes == 0)
        return 0;
    if (fits_share(account, bytes) && !atomic_load(&budget.has_queue) && take_now(account, bytes))
        return 0;
    return wait_and_take(account, bytes);
}

static void wake_sleepers(void)
{
    if (atomic_load(&budget.sleepers) == 0)
        return;
    LOCK_SCOPE(&budget.lock);
    pthread_cond_broadcast(&budget.changed);
}

void budget_give(struct budget_account *account, uint64_t bytes)
{
    if (bytes == 0)
        return;
    atomic_fetch_sub(&account->held, bytes);
    atomic_fetch_sub(&budget.taken_bytes, bytes);
    wake_sleepers();
}

void budget_abandon(struct budget_account *account)
{
    atomic_store(&account->is_abandoned, true);
    wake_sleepers();
}

bool budget_was_dropped(struct budget_account *account)
{
    return atomic_load(&account->is_dropped);
}
