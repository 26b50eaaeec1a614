/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The descriptors of a client's stream, with or without TLS on them: reading
 * and writing, and waiting where that is necessary. The transport's own.
 */
#ifndef STREAM_H
#define STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "linger.h"
#include "progress.h"

struct tls;

struct stream {
    struct tls *tls; /* NULL: plain; the session's thread sets it, before it has workers */
    int in_fd;
    int out_fd;
    int stop_fd;
    bool is_socket;
    struct linger_state linger; /* the reader's */
    /* Pipes know no shutdown(2): these poll readable once woken. -1 for sockets. */
    int reader_wake_fd;
    int all_wake_fd;
    int64_t give_up_at_ms; /* CLOCK_MONOTONIC; 0 until the server is seen to stop; the writer's */
    int64_t deadline_ms;   /* CLOCK_MONOTONIC; 0: none; the session's thread writes it */
    int64_t paused_at_ms;  /* CLOCK_MONOTONIC; the same */
    struct progress receiving; /* turns begin where a byte of a message is missing */
    struct progress sending;   /* turns begin where the client takes no more */
    int idle_ms;               /* a client that says nothing for so long is idle; 0: it never is */
};

/*
 * Reads what there is, up to `length` bytes. Returns as read(2); 0 also where
 * readers were woken; -1 with EAGAIN where the client is idle, ETIMEDOUT past the deadline.
 */
ssize_t stream_read(struct stream *stream, void *buffer, size_t length);

/*
 * The same in the middle of a message of which `length` bytes are still to
 * come: waits for all of them, where one system call does.
 */
ssize_t stream_read_rest(struct stream *stream, void *buffer, size_t length);

/*
 * Waits until there is something to read. Returns 1; 0 where readers were
 * woken; -1 with errno as stream_read().
 */
int stream_wait_for_input(struct stream *stream);

/* As transport_send() and transport_send_now(). */
int stream_send(struct stream *stream, struct iovec *vectors, int count);
void stream_send_now(struct stream *stream, struct iovec *vectors, int count);

/* Sends what a session of TLS keeps. Returns 0, or -1 with errno. */
int stream_flush(struct stream *stream);

/* From now on there are `timeout_ms` left. */
void stream_set_deadline(struct stream *stream, unsigned timeout_ms);

/* No time passes between them. Nothing happens where there is no deadline. */
void stream_pause_deadline(struct stream *stream);
void stream_resume_deadline(struct stream *stream);

/* For poll(2): the milliseconds that are left, or -1 without a deadline. */
int stream_get_patience_ms(const struct stream *stream);

#endif
