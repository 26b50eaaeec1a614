// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns nothing: reads and writes a stream's descriptors, and waits for them.
 * Entered by the stream's reader and its writer. Calls linger and tls.
 */
#include "stream.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "linger.h"
#include "tls.h"

enum { SLOW_CLIENT_MS = 5000 };

/* For poll(2): -1 without a deadline. */
int stream_get_patience_ms(const struct stream *stream)
{
    if (stream->deadline_ms == 0)
        return -1;
    int64_t left_ms = stream->deadline_ms - clock_read_ms();
    return left_ms > 0 ? (int)left_ms : 0;
}

/*
 * Waits until there is something to read. Returns 1; 0 where readers were woken; -1 with errno,
 * EAGAIN where the client is idle.
 */
int stream_wait_for_input(struct stream *stream)
{
    struct pollfd fds[] = {
        { .fd = stream->in_fd, .events = POLLIN },
        { .fd = stream->reader_wake_fd, .events = POLLIN },
    };
    int patience_ms = stream_get_patience_ms(stream);
    bool is_idle_end = patience_ms < 0 && stream->idle_ms > 0;
    /* Whoever sends without end is late too. */
    int ready = patience_ms == 0 ? 0 : poll(fds, 2, is_idle_end ? stream->idle_ms : patience_ms);

    if (ready == 0)
        errno = is_idle_end ? EAGAIN : ETIMEDOUT;
    if (ready <= 0)
        return -1;
    return fds[1].revents ? 0 : 1;
}

static ssize_t read_pipe(struct stream *stream, void *buffer, size_t length)
{
    for (;;) {
        int ready = stream_wait_for_input(stream);
        if (ready <= 0)
            return ready;
        ssize_t got = read(stream->in_fd, buffer, length);
        if (got >= 0 || errno != EAGAIN)
            return got;
    }
}

/* Without a deadline there is no need to ask before reading. */
static ssize_t read_socket(struct stream *stream, void *buffer, size_t length)
{
    if (stream->deadline_ms != 0 && stream_wait_for_input(stream) < 0)
        return -1;
    return linger_recv(&stream->linger, stream->in_fd, buffer, length);
}

/* May more be read, though nobody has to wait for it? Returns as wait_for_input(). */
static int check_reader(struct stream *stream)
{
    struct pollfd wake = { .fd = stream->reader_wake_fd, .events = POLLIN };

    if (stream_get_patience_ms(stream) == 0) {
        errno = ETIMEDOUT;
        return -1;
    }
    return stream->is_socket || poll(&wake, 1, 0) <= 0;
}

/* The session may have read ahead: it is asked before the descriptor is waited for. */
static ssize_t read_tls(struct stream *stream, void *buffer, size_t length)
{
    int ready = check_reader(stream);

    while (ready > 0) {
        ssize_t got = tls_recv(stream->tls, buffer, length);
        if (got >= 0 || errno != EAGAIN)
            return got;
        ready = stream_wait_for_input(stream);
    }
    return ready;
}

ssize_t stream_read(struct stream *stream, void *buffer, size_t length)
{
    ssize_t got;

    do {
        if (stream->tls)
            got = read_tls(stream, buffer, length);
        else if (stream->is_socket)
            got = read_socket(stream, buffer, length);
        else
            got = read_pipe(stream, buffer, length);
    } while (got < 0 && errno == EINTR);
    return got;
}

ssize_t stream_read_rest(struct stream *stream, void *buffer, size_t length)
{
    ssize_t got;

    /* One that sends byte by byte would never let the deadline be looked at. */
    if (stream->tls || !stream->is_socket || stream->deadline_ms != 0)
        return stream_read(stream, buffer, length);
    do {
        got = recv(stream->in_fd, buffer, length, MSG_WAITALL);
    } while (got < 0 && errno == EINTR);
    return got;
}

static ssize_t write_some(struct stream *stream, struct iovec *vectors, int count)
{
    struct msghdr message = { .msg_iov = vectors, .msg_iovlen = (size_t)count };

    if (stream->tls)
        return tls_send(stream->tls, vectors, count);
    if (stream->is_socket)
        return sendmsg(stream->out_fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    return writev(stream->out_fd, vectors, count);
}

/* All that is still to be sent when the server stops has one and the same time for it. */
static int get_time_left_ms(struct stream *stream)
{
    int64_t now_ms = clock_read_ms();

    if (stream->give_up_at_ms == 0)
        stream->give_up_at_ms = now_ms + SLOW_CLIENT_MS;
    int64_t left_ms = stream->give_up_at_ms - now_ms;
    return left_ms > 0 ? (int)left_ms : 0;
}

/* Waits until the client takes more. Returns 0, or -1 with errno. */
static int poll_for_room(struct stream *stream)
{
    struct pollfd fds[] = {
        { .fd = stream->out_fd, .events = POLLOUT },
        { .fd = stream->all_wake_fd, .events = POLLIN },
        { .fd = stream->stop_fd, .events = POLLIN },
    };

    int ready = poll(fds, 3, stream_get_patience_ms(stream));
    if (ready > 0 && fds[2].revents && !fds[1].revents)
        ready = poll(fds, 2, get_time_left_ms(stream));
    if (ready < 0)
        return errno == EINTR ? 0 : -1;
    if (ready == 0 || fds[1].revents) {
        errno = ready == 0 ? ETIMEDOUT : EPIPE;
        return -1;
    }
    return 0;
}

static int wait_for_room(struct stream *stream)
{
    progress_begin_turn(&stream->sending);
    int result = poll_for_room(stream);
    progress_end_turn(&stream->sending);
    return result;
}

/* Drops the first `sent` bytes of the vectors; returns how many vectors are done. */
static int advance(struct iovec *vectors, int count, size_t sent)
{
    int i;

    for (i = 0; i < count && sent >= vectors[i].iov_len; i++)
        sent -= vectors[i].iov_len;
    if (i < count) {
        vectors[i].iov_base = (char *)vectors[i].iov_base + sent;
        vectors[i].iov_len -= sent;
    }
    return i;
}

/* Waits where that is why nothing could be sent. Returns 0 to try again, or -1 with errno. */
static int retry_sending(struct stream *stream)
{
    if (errno == EINTR)
        return 0;
    return errno == EAGAIN ? wait_for_room(stream) : -1;
}

/* Sends what a session of TLS keeps. Returns 0, or -1 with errno. */
int stream_flush(struct stream *stream)
{
    while (stream->tls && tls_flush(stream->tls) < 0)
        if (retry_sending(stream) < 0)
            return -1;
    return 0;
}

int stream_send(struct stream *stream, struct iovec *vectors, int count)
{
    while (count > 0) {
        ssize_t sent = write_some(stream, vectors, count);
        if (sent < 0) {
            if (retry_sending(stream) < 0)
                return -1;
            continue;
        }
        int done = advance(vectors, count, (size_t)sent);
        vectors += done;
        count -= done;
    }
    return stream_flush(stream);
}

void stream_send_now(struct stream *stream, struct iovec *vectors, int count)
{
    while (count > 0) {
        ssize_t sent = write_some(stream, vectors, count);
        if (sent < 0)
            break;
        int done = advance(vectors, count, (size_t)sent);
        vectors += done;
        count -= done;
    }
    if (stream->tls)
        tls_flush(stream->tls);
}

void stream_set_deadline(struct stream *stream, unsigned timeout_ms)
{
    stream->deadline_ms = clock_read_ms() + timeout_ms;
}

void stream_pause_deadline(struct stream *stream)
{
    if (stream->deadline_ms != 0)
        stream->paused_at_ms = clock_read_ms();
}

void stream_resume_deadline(struct stream *stream)
{
    if (stream->deadline_ms != 0)
        stream->deadline_ms += clock_read_ms() - stream->paused_at_ms;
}
