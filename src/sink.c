// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns the threads that write messages. Descriptor 2 is shared with others, so O_NONBLOCK is not
 * ours to set, and what poll(2) says of room in a pipe holds for its only writer alone: so only a
 * thread for which nobody has to wait is safe. Entered by every thread; calls nothing of ours.
 */
#include "sink.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"

enum {
    PATIENCE_MS = 500, /* how long a message may hold up whoever logs it */
    IDLE_MS = 1000,    /* a thread without work ends after that */
    WAITING_BYTES_MAX = 256 * 1024,
    STACK_BYTES =
        256 * 1024, /* little, for --swap locks all of it; sanitizers want more than 16 K */
};

static atomic_bool is_threaded;
static struct sink *all_sinks;
static size_t all_count;

void sink_free_message(struct sink_message *message)
{
    free(message->text);
    free(message);
}

/* Returns 0, or -1 where there was no room in time; what cannot be written at all is gone. */
static int write_text(int fd, const struct sink_message *message, int patience_ms)
{
    struct pollfd room = { .fd = fd, .events = POLLOUT };
    const char *rest = message->text;
    size_t left = message->length;

    while (left > 0) {
        /* What fits into the room that poll(2) sees. */
        size_t part = patience_ms >= 0 && left > PIPE_BUF ? PIPE_BUF : left;
        if (poll(&room, 1, patience_ms) == 0)
            return -1;
        ssize_t written = write(fd, rest, part);
        if (written < 0 && errno != EINTR && errno != EAGAIN)
            return 0;
        rest += written > 0 ? written : 0;
        left -= written > 0 ? (size_t)written : 0;
    }
    return 0;
}

static int put(struct sink *sink, const struct sink_message *message, int patience_ms)
{
    if (sink->fd >= 0)
        return write_text(sink->fd, message, patience_ms);
    sink->put(message);
    return 0;
}

static void put_report(struct sink *sink, unsigned long lost, int patience_ms)
{
    struct sink_message *report = sink->make_report(sink, lost);

    if (!report)
        return;
    put(sink, report, patience_ms);
    sink_free_message(report);
}

/* Without a thread. */
static void write_directly(struct sink *sink, struct sink_message *message)
{
    LOCK_SCOPE(&sink->lock);
    int patience_ms = sink->is_stuck ? 0 : PATIENCE_MS;

    sink->is_stuck = put(sink, message, patience_ms) < 0;
    sink_free_message(message);
    if (sink->is_stuck) {
        sink->lost++;
    } else if (sink->lost > 0) {
        put_report(sink, sink->lost, PATIENCE_MS);
        sink->lost = 0;
    }
}

static struct timespec get_deadline(int timeout_ms)
{
    struct timespec deadline;

    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += timeout_ms / 1000;
    deadline.tv_nsec += timeout_ms % 1000 * 1000000L;
    if (deadline.tv_nsec >= 1000000000) {
        deadline.tv_sec++;
        deadline.tv_nsec -= 1000000000;
    }
    return deadline;
}

/* Under the lock. Returns false when there was nothing to do for long, or there will be no more. */
static bool await_work(struct sink *sink)
{
    struct timespec deadline = get_deadline(IDLE_MS);

    while (!sink->first && sink->lost == 0)
        if (sink->is_ending || pthread_cond_clockwait(&sink->filled, &sink->lock, CLOCK_MONOTONIC,
                                                      &deadline) == ETIMEDOUT)
            return sink->first || sink->lost > 0;
    return true;
}

/* Takes the first message off. Under the lock. */
static void drop_first(struct sink *sink)
{
    struct sink_message *message = sink->first;

    sink->first = message->next;
    if (!sink->first)
        sink->last = NULL;
    sink->bytes -= message->length;
    sink->written_count++;
    sink_free_message(message);
}

/* The sink's thread. */
static void *run(void *argument)
{
    struct sink *sink = argument;
    LOCK_SCOPE(&sink->lock);

    while (await_work(sink)) {
        const struct sink_message *message = sink->first;
        unsigned long lost = sink->lost;
        pthread_mutex_unlock(&sink->lock);
        if (message)
            put(sink, message, -1);
        else
            put_report(sink, lost, -1);
        pthread_mutex_lock(&sink->lock);
        if (message)
            drop_first(sink);
        else
            sink->lost -= lost;
        sink->is_stuck = false;
        pthread_cond_broadcast(&sink->written);
    }
    sink->has_thread = false;
    pthread_cond_broadcast(&sink->written);
    return NULL;
}

/* Under the lock, which a thread that has ended its work needs no more. */
static void join_thread(struct sink *sink)
{
    if (sink->must_join)
        pthread_join(sink->thread, NULL);
    sink->must_join = false;
}

/* Under the lock. Signals are for other threads. Returns 0 or -1. */
static int start_thread(struct sink *sink)
{
    pthread_attr_t attributes;
    sigset_t every;
    sigset_t old;

    join_thread(sink);
    sigfillset(&every);
    pthread_sigmask(SIG_SETMASK, &every, &old);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    sink->has_thread = pthread_create(&sink->thread, &attributes, run, sink) == 0;
    sink->must_join = sink->has_thread;
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return sink->has_thread ? 0 : -1;
}

/* Waits until `count` messages are written, or nothing moves. Under the lock. */
static void await_written(struct sink *sink, uint64_t count)
{
    struct timespec deadline = get_deadline(PATIENCE_MS);

    while (sink->has_thread && sink->written_count < count && !sink->is_stuck)
        if (pthread_cond_clockwait(&sink->written, &sink->lock, CLOCK_MONOTONIC, &deadline) ==
            ETIMEDOUT)
            sink->is_stuck = true;
}

/* Under the lock. */
static void append(struct sink *sink, struct sink_message *message)
{
    message->next = NULL;
    *(sink->last ? sink->last : &sink->first) = message;
    sink->last = &message->next;
    sink->bytes += message->length;
    sink->queued_count++;
    pthread_cond_signal(&sink->filled);
}

/* Returns -1 where there is no thread to write the message. */
static int hand_over(struct sink *sink, struct sink_message *message)
{
    LOCK_SCOPE(&sink->lock);
    bool is_full = sink->first && sink->bytes + message->length > WAITING_BYTES_MAX;

    if (!sink->has_thread && start_thread(sink) < 0)
        return -1;
    if (is_full || sink->lost > 0) {
        sink->lost++;
        sink_free_message(message);
        return 0;
    }
    append(sink, message);
    await_written(sink, sink->queued_count);
    return 0;
}

/* fork(2) finds no sink in the middle of a change. */
static void before_fork(void)
{
    for (size_t i = 0; i < all_count; i++)
        pthread_mutex_lock(&all_sinks[i].lock);
}

static void after_fork_in_parent(void)
{
    for (size_t i = 0; i < all_count; i++)
        pthread_mutex_unlock(&all_sinks[i].lock);
}

/* What waits is for the parent to write, and the threads are the parent's. */
static void after_fork_in_child(void)
{
    is_threaded = false;
    for (size_t i = 0; i < all_count; i++) {
        struct sink *sink = &all_sinks[i];
        while (sink->first)
            drop_first(sink);
        sink->has_thread = sink->must_join = sink->is_stuck = false;
        sink->lost = 0;
        pthread_cond_init(&sink->filled, NULL);
        pthread_cond_init(&sink->written, NULL);
    }
    after_fork_in_parent();
}

void sink_allow_threads(struct sink *sinks, size_t count)
{
    all_sinks = sinks;
    all_count = count;
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
    is_threaded = true;
}

void sink_write(struct sink *sink, struct sink_message *message)
{
    if (!is_threaded || hand_over(sink, message) < 0)
        write_directly(sink, message);
}

void sink_finish(struct sink *sink)
{
    LOCK_SCOPE(&sink->lock);

    await_written(sink, sink->queued_count);
    if (sink->first || sink->lost > 0)
        return; /* It would wait for ever for the thread. */
    sink->is_ending = true;
    pthread_cond_signal(&sink->filled);
    while (sink->has_thread)
        pthread_cond_wait(&sink->written, &sink->lock);
    join_thread(sink);
}
