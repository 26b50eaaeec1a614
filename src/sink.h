/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A place where messages go, which may be a pipe that nobody reads any more.
 * While the server serves, a thread of the sink's own writes, one whole message
 * at a time and in order. Whoever logs waits until its message is written, but
 * half a second at most, and not at all while nothing moves: messages wait in
 * memory then, and those for which there is no room are counted and dropped.
 */
#ifndef SINK_H
#define SINK_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sink_message {
    struct sink_message *next;
    int priority; /* syslog(3)'s */
    size_t length;
    char *text; /* whole lines */
};

struct sink {
    int fd;                                   /* what is written to, or -1: */
    void (*put)(const struct sink_message *); /* writes it; may wait for ever */
    struct sink_message *(*make_report)(struct sink *, unsigned long lost); /* or NULL */

    pthread_mutex_t lock; /* over all that follows, and over nothing that waits for long */
    pthread_cond_t filled;
    pthread_cond_t written;
    struct sink_message *first; /* this one is being written */
    struct sink_message **last; /* NULL: &first */
    size_t bytes;               /* that wait */
    uint64_t queued_count;
    uint64_t written_count;
    unsigned long lost; /* since the last report; while there are any, all are dropped */
    bool is_stuck;      /* somebody has waited in vain since the last write ended */
    bool has_thread;
    pthread_t thread;
    bool must_join; /* one was started, and may have ended */
    bool is_ending; /* it is to end when all is written */
};

#define SINK_INITIALIZER(its_fd, its_put, its_report)                                              \
    {                                                                                              \
        .fd = (its_fd), .put = (its_put), .make_report = (its_report),                             \
        .lock = PTHREAD_MUTEX_INITIALIZER, .filled = PTHREAD_COND_INITIALIZER,                     \
        .written = PTHREAD_COND_INITIALIZER                                                        \
    }

/*
 * From now on these, which are all there are, may have threads. Before that, and in a child of
 * fork(2), the caller writes what can be written within half a second. Main thread, once.
 */
void sink_allow_threads(struct sink *sinks, size_t count);

/* Writes a message, which is the sink's from then on, as is its text (free(3)). Any thread. */
void sink_write(struct sink *sink, struct sink_message *message);

/* Waits until all is written, and the thread has ended, or nothing moves any more. */
void sink_finish(struct sink *sink);

void sink_free_message(struct sink_message *message);

#endif
