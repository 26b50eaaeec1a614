// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns a session's threads and the right to lead. Entered by all of them, and
 * by the thread that watches; calls conn, transport, outbox and watch.
 */
#include "crew.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "conn.h"
#include "crash.h"
#include "log.h"
#include "outbox.h"
#include "transport.h"

struct slot {
    pthread_t thread;
    struct crew *crew;
    enum { SLOT_FREE, SLOT_RUNNING, SLOT_ENDED } state;
};

static _Thread_local struct member *current;

static struct lead *make_lead(void)
{
    struct lead *lead = calloc(1, sizeof *lead);

    if (lead)
        lead->holders = 1;
    return lead;
}

/* Under the lock. */
static void drop_lead(struct lead *lead)
{
    if (--lead->holders > 0)
        return;
    outbox_free(lead->outbox);
    ahead_free(&lead->left);
    free(lead);
}

static void init_member(struct member *member, struct crew *crew, bool is_owner)
{
    pthread_condattr_t monotonic;

    *member = (struct member){ .crew = crew, .is_owner = is_owner };
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&member->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    current = member;
}

static void end_member(struct member *member)
{
    current = NULL;
    pthread_cond_destroy(&member->wake);
}

static void *run_worker(void *argument)
{
    struct slot *slot = argument;
    struct crew *crew = slot->crew;
    struct member member;
    char signal_stack[CRASH_STACK_BYTES];

    crash_use_stack(signal_stack);
    init_member(&member, crew, false);
    crew->serve(&member);
    end_member(&member);
    crash_forget_stack(signal_stack);
    LOCK_SCOPE(&crew->lock);
    slot->state = SLOT_ENDED;
    crew->thread_count--;
    return NULL;
}

/* Joins threads that have ended. Under the lock, which they need no more. */
static void join_ended(struct crew *crew)
{
    for (unsigned i = 0; i < crew->limit; i++)
        if (crew->slots[i].state == SLOT_ENDED) {
            pthread_join(crew->slots[i].thread, NULL);
            crew->slots[i].state = SLOT_FREE;
        }
}

static struct slot *find_slot(struct crew *crew)
{
    join_ended(crew);
    for (unsigned i = 0; i < crew->limit; i++)
        if (crew->slots[i].state == SLOT_FREE)
            return &crew->slots[i];
    return NULL;
}

/* Under the lock. */
static void start_thread(struct crew *crew)
{
    struct slot *slot = find_slot(crew);

    if (!slot)
        return;
    slot->crew = crew;
    int error = pthread_create(&slot->thread, NULL, run_worker, slot);
    if (!error) {
        slot->state = SLOT_RUNNING;
        crew->thread_count++;
        return;
    }
    /* The requests are served all the same, fewer at once. */
    if (!crew->is_short)
        log_warning("cannot start a thread, serving with %u: %s", crew->thread_count + 1,
                    strerrordesc_np(error));
    crew->is_short = true;
}

/* Takes a member off those that rest. Under the lock. */
static void unlink_rested(struct crew *crew, struct member *member)
{
    struct member **link = &crew->rested;

    while (*link != member)
        link = &(*link)->next;
    *link = member->next;
    if (crew->owner == member)
        crew->owner = NULL;
}

/* Under the lock. */
static void call(struct crew *crew, struct member *member)
{
    unlink_rested(crew, member);
    member->is_called = true;
    pthread_cond_signal(&member->wake);
}

/* Has a thread come that rests, or else a new one while there are fewer than `most`. */
static void call_any(struct crew *crew, unsigned most)
{
    if (crew->rested)
        call(crew, crew->rested);
    else if (crew->thread_count < most)
        start_thread(crew);
}

/* Returns false where nobody has called the thread in time. Under the lock. */
static bool rest(struct member *member)
{
    struct crew *crew = member->crew;
    struct timespec deadline;
    int error = 0;

    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += CREW_IDLE_MS / 1000;
    member->is_called = false;
    member->next = crew->rested;
    crew->rested = member;
    if (member->is_owner)
        crew->owner = member;
    while (!member->is_called && error != ETIMEDOUT)
        error = member->is_owner ? pthread_cond_wait(&member->wake, &crew->lock)
                                 : pthread_cond_timedwait(&member->wake, &crew->lock, &deadline);
    if (!member->is_called)
        unlink_rested(crew, member);
    return member->is_called;
}

static bool may_lead(const struct member *member)
{
    const struct crew *crew = member->crew;

    return !crew->is_led && crew->busy < crew->limit &&
           (member->is_owner || (crew->limit > 1 && !crew->is_for_owner));
}

/* Under the lock. */
static void become_leader(struct member *member)
{
    struct crew *crew = member->crew;

    crew->is_led = true;
    crew->is_for_owner = false;
    member->lead = crew->lead;
    member->lead->holders++;
    member->is_leading = true;
}

/* The section has lasted long: somebody is to end it. In the thread that watches. */
static void call_for_help(struct watched *watched, uint64_t turn)
{
    struct crew *crew = (struct crew *)((char *)watched - offsetof(struct crew, watched));
    LOCK_SCOPE(&crew->lock);

    if (crew->is_over || crew->stuck_turn == turn)
        return;
    crew->stuck_turn = turn;
    call_any(crew, crew->limit);
}

/* Sends what the leader had waiting when the lead was taken away from it. */
static void send_for(struct member *member, struct lead *lead)
{
    if (lead->is_sending || !lead->outbox || outbox_is_empty(lead->outbox))
        return;
    crew_begin_sending(member);
    conn_send(member->crew->conn, lead->outbox->vectors, lead->outbox->vector_count);
    crew_end(member);
}

/*
 * Takes the lead away from whoever is stuck in the section that this thread
 * was called for, and takes it where one more may lead. Under the lock.
 */
static void help(struct member *member)
{
    struct crew *crew = member->crew;
    struct lead *lead = make_lead();
    struct ahead fresh;
    uint64_t turn = crew->stuck_turn;

    crew->stuck_turn = 0;
    if (!lead || ahead_init(&fresh) < 0) {
        free(lead);
        return;
    }
    if (!watch_end(&crew->watched, turn)) {
        ahead_free(&fresh);
        free(lead);
        return;
    }
    struct lead *old = crew->lead;
    transport_change_ahead(crew->conn->transport, &fresh);
    old->left = fresh;
    crew->lead = lead;
    crew->is_led = false;
    crew->busy++;
    if (may_lead(member))
        become_leader(member);
    /* The crew's hold on it is this thread's until it is sent. */
    pthread_mutex_unlock(&crew->lock);
    send_for(member, old);
    pthread_mutex_lock(&crew->lock);
    drop_lead(old);
}

bool crew_take_lead(struct member *member)
{
    struct crew *crew = member->crew;
    LOCK_SCOPE(&crew->lock);

    while (!crew->is_over && !member->lead) {
        if (crew->stuck_turn)
            help(member);
        else if (may_lead(member))
            become_leader(member);
        else if (!rest(member))
            return false;
    }
    return member->lead != NULL;
}

void crew_leave(struct member *member)
{
    struct crew *crew = member->crew;
    LOCK_SCOPE(&crew->lock);

    if (member->is_busy)
        crew->busy--;
    else if (member->is_leading)
        crew->is_led = false;
    member->is_busy = member->is_leading = false;
    drop_lead(member->lead);
    member->lead = NULL;
}

/* Gives the lead up. Under the lock. */
static void become_busy(struct member *member)
{
    member->crew->is_led = false;
    member->crew->busy++;
    member->is_leading = false;
    member->is_busy = true;
}

void crew_hand_over(struct member *member)
{
    struct crew *crew = member->crew;
    LOCK_SCOPE(&crew->lock);

    become_busy(member);
    if (crew->busy < crew->limit)
        call_any(crew, crew->limit - 1);
}

/* Could anybody do anything about it, should the section take long? */
static bool is_worth_watching(struct member *member, bool is_sending)
{
    struct crew *crew = member->crew;
    struct outbox *outbox = member->lead->outbox;
    bool has_waiting = !is_sending && outbox && !outbox_is_empty(outbox);

    return has_waiting || atomic_load_explicit(&crew->busy, memory_order_relaxed) + 1 < crew->limit;
}

static void begin(struct member *member, bool is_sending)
{
    member->turn = 0;
    if (!member->is_leading || !is_worth_watching(member, is_sending))
        return;
    member->lead->is_sending = is_sending;
    member->turn = watch_begin(&member->crew->watched);
}

void crew_begin_call(struct member *member)
{
    begin(member, false);
}

void crew_begin_sending(struct member *member)
{
    begin(member, true);
}

void crew_end(struct member *member)
{
    uint64_t turn = member->turn;

    member->turn = 0;
    if (turn == 0 || watch_end(&member->crew->watched, turn))
        return;
    member->is_leading = false;
    member->is_busy = true;
}

struct outbox *crew_get_outbox(struct member *member)
{
    if (!member->lead->outbox)
        member->lead->outbox = outbox_new();
    return member->lead->outbox;
}

void crew_flush(struct member *member)
{
    struct outbox *outbox = member->is_leading ? member->lead->outbox : NULL;

    if (!outbox || outbox_is_empty(outbox))
        return;
    crew_begin_sending(member);
    conn_send(member->crew->conn, outbox->vectors, outbox->vector_count);
    crew_end(member);
    if (member->is_leading)
        outbox_clear(outbox);
}

void crew_flush_now(void)
{
    struct member *member = current;

    if (!member || !member->is_leading || member->turn == 0)
        return;
    struct outbox *outbox = member->lead->outbox;
    if (!outbox || outbox_is_empty(outbox))
        return;
    crew_end(member);
    if (!member->is_leading)
        return;
    conn_send_now(member->crew->conn, outbox->vectors, outbox->vector_count);
    /* The data of the request in work is not a part of it yet. */
    outbox_clear_replies(outbox);
    crew_begin_call(member);
}

void crew_finish(struct member *member)
{
    struct crew *crew = member->crew;

    pthread_mutex_lock(&crew->lock);
    crew->is_over = true;
    while (crew->rested)
        call(crew, crew->rested);
    pthread_mutex_unlock(&crew->lock);
    struct outbox *outbox = member->lead->outbox;
    if (outbox && !outbox_is_empty(outbox))
        conn_send(crew->conn, outbox->vectors, outbox->vector_count);
}

void crew_rest(struct member *member)
{
    struct crew *crew = member->crew;

    outbox_free(member->lead->outbox);
    member->lead->outbox = NULL;
    transport_rest(crew->conn->transport);
    spares_drop(&crew->conn->spares);
    LOCK_SCOPE(&crew->lock);
    join_ended(crew);
    if (crew->thread_count == 0)
        transport_set_idle(crew->conn->transport, 0);
    if (member->is_owner || !crew->owner)
        return;
    crew->is_led = member->is_leading = false;
    crew->is_for_owner = true;
    call(crew, crew->owner);
}

static bool is_slot_used(struct crew *crew, const struct slot *slot)
{
    LOCK_SCOPE(&crew->lock);
    return slot->state != SLOT_FREE;
}

/* All but the session's own thread have ended, or are about to, and none begins any more. */
static void join_all(struct crew *crew)
{
    for (unsigned i = 0; i < crew->limit; i++)
        if (is_slot_used(crew, &crew->slots[i]))
            pthread_join(crew->slots[i].thread, NULL);
}

void crew_run(struct crew *crew)
{
    struct member owner;

    crew->lead = make_lead();
    crew->slots = calloc(crew->limit, sizeof *crew->slots);
    crew->watched.on_stuck = call_for_help;
    pthread_mutex_init(&crew->lock, NULL);
    init_member(&owner, crew, true);
    if (crew->lead && crew->slots) {
        crew->serve(&owner);
        join_all(crew);
    } else {
        log_error("no memory for the threads of a client, dropping it");
    }
    watch_forget(&crew->watched);
    end_member(&owner);
    if (crew->lead)
        drop_lead(crew->lead);
    pthread_mutex_destroy(&crew->lock);
    free(crew->slots);
}
