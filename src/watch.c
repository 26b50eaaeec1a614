// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns the thread that looks at long sections, and the list of those who have
 * had one lately. Entered by every thread; calls what it was given.
 */
#include "watch.h"

#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "log.h"

enum {
    TICK_MS = WATCH_NOTICE_MS / 2,
    STILL_TICKS_MAX = 50, /* after so many without a section it leaves the list */
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    bool has_thread;
    bool is_stopping;
    struct watched *list;
} watch = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

/* Does it need no looking at for now? */
static bool is_done_with(struct watched *watched)
{
    if (watched->still_ticks < STILL_TICKS_MAX)
        return false;
    /* Whoever begins a section sees this, or we see the section. */
    atomic_store(&watched->is_listed, false);
    if (atomic_load(&watched->turn) == watched->seen_turn)
        return true;
    atomic_store(&watched->is_listed, true);
    return false;
}

static void look_at(struct watched *watched)
{
    uint64_t turn = atomic_load(&watched->turn);

    if (turn != watched->seen_turn)
        watched->still_ticks = 0;
    else if (turn % 2 == 0)
        watched->still_ticks++;
    else
        watched->on_stuck(watched, turn);
    watched->seen_turn = turn;
}

static void look_at_all(void)
{
    struct watched **link = &watch.list;

    while (*link) {
        look_at(*link);
        if (is_done_with(*link))
            *link = (*link)->next;
        else
            link = &(*link)->next;
    }
}

static void *run(void *unused)
{
    struct timespec tick = { .tv_nsec = TICK_MS * 1000000L };

    pthread_mutex_lock(&watch.lock);
    while (!watch.is_stopping) {
        look_at_all();
        if (!watch.list) {
            pthread_cond_wait(&watch.changed, &watch.lock);
            continue;
        }
        pthread_mutex_unlock(&watch.lock);
        clock_nanosleep(CLOCK_MONOTONIC, 0, &tick, NULL);
        pthread_mutex_lock(&watch.lock);
    }
    pthread_mutex_unlock(&watch.lock);
    return unused;
}

/* Under the lock. */
static void start_thread(void)
{
    int error = pthread_create(&watch.thread, NULL, run, NULL);

    watch.has_thread = error == 0;
    if (error)
        log_warning("cannot start a thread, a slow request may hold others up: %s",
                    strerrordesc_np(error));
}

static void add(struct watched *watched)
{
    LOCK_SCOPE(&watch.lock);

    atomic_store(&watched->is_listed, true);
    watched->seen_turn = 0;
    watched->still_ticks = 0;
    watched->next = watch.list;
    watch.list = watched;
    if (!watch.has_thread)
        start_thread();
    else if (!watched->next)
        pthread_cond_signal(&watch.changed);
}

uint64_t watch_begin(struct watched *watched)
{
    /* Only this thread changes an even turn. */
    uint64_t turn = atomic_load_explicit(&watched->turn, memory_order_relaxed) + 1;

    atomic_store(&watched->turn, turn);
    if (!atomic_load(&watched->is_listed))
        add(watched);
    return turn;
}

bool watch_end(struct watched *watched, uint64_t turn)
{
    return atomic_compare_exchange_strong(&watched->turn, &turn, turn + 1);
}

void watch_forget(struct watched *watched)
{
    LOCK_SCOPE(&watch.lock);

    for (struct watched **link = &watch.list; *link; link = &(*link)->next)
        if (*link == watched) {
            *link = watched->next;
            return;
        }
}

void watch_stop(void)
{
    pthread_mutex_lock(&watch.lock);
    bool has_thread = watch.has_thread;
    watch.is_stopping = true;
    pthread_cond_signal(&watch.changed);
    pthread_mutex_unlock(&watch.lock);
    if (has_thread)
        pthread_join(watch.thread, NULL);
}
