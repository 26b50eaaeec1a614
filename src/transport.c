// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns the descriptors of a client's stream and the bytes that were read
 * ahead. Entered by the connection's threads and, to wake them, by any.
 * Calls stream, ahead, tls and descriptor.
 */
#include "transport.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ahead.h"
#include "descriptor.h"
#include "log.h"
#include "stream.h"
#include "tls.h"

enum {
    DIRECT_BYTES = 16 * 1024, /* a message that lacks as much is read to where it belongs */
    FILL_MIN_BYTES = 4 * 1024,
    SLOW_CLIENT_MS = 5000,
    DRAIN_ROUNDS = 256,
};

struct transport {
    struct stream stream;
    size_t fill_bytes;  /* how much to read ahead; the reader's */
    struct ahead ahead; /* the reader's */
};

static int prepare_pipes(struct transport *transport)
{
    transport->stream.reader_wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    transport->stream.all_wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (transport->stream.reader_wake_fd < 0 || transport->stream.all_wake_fd < 0)
        return -1;
    transport->stream.in_fd = descriptor_unblock_pipe(transport->stream.in_fd, O_RDONLY);
    transport->stream.out_fd = descriptor_unblock_pipe(transport->stream.out_fd, O_WRONLY);
    return transport->stream.in_fd < 0 || transport->stream.out_fd < 0 ? -1 : 0;
}

static void close_if_open(int fd)
{
    if (fd >= 0)
        close(fd);
}

struct transport *transport_new(int in_fd, int out_fd, int stop_fd)
{
    struct transport *transport = calloc(1, sizeof *transport);

    if (!transport || ahead_init(&transport->ahead) < 0) {
        free(transport);
        return NULL;
    }
    transport->fill_bytes = DIRECT_BYTES;
    transport->stream.in_fd = in_fd;
    transport->stream.out_fd = out_fd;
    transport->stream.stop_fd = stop_fd;
    transport->stream.is_socket =
        descriptor_has_type(in_fd, S_IFSOCK) && descriptor_has_type(out_fd, S_IFSOCK);
    transport->stream.reader_wake_fd = transport->stream.all_wake_fd = -1;
    if (!transport->stream.is_socket && prepare_pipes(transport) < 0) {
        close_if_open(transport->stream.reader_wake_fd);
        close_if_open(transport->stream.all_wake_fd);
        ahead_free(&transport->ahead);
        free(transport);
        return NULL;
    }
    return transport;
}

/* In the middle of a message nobody is idle. */
static ssize_t insist(ssize_t (*read_some)(struct stream *, void *, size_t), struct stream *stream,
                      void *buffer, size_t length)
{
    ssize_t got;

    progress_begin_turn(&stream->receiving);
    do
        got = read_some(stream, buffer, length);
    while (got < 0 && errno == EAGAIN);
    progress_end_turn(&stream->receiving);
    return got;
}

static ssize_t read_on(struct stream *stream, void *buffer, size_t length)
{
    return insist(stream_read, stream, buffer, length);
}

static ssize_t read_rest(struct stream *stream, void *buffer, size_t length)
{
    return insist(stream_read_rest, stream, buffer, length);
}

/* Reads more ahead with `read_more`, stream_read() or read_on(), and returns as they do. */
static ssize_t fill_ahead(struct transport *transport,
                          ssize_t (*read_more)(struct stream *, void *, size_t))
{
    size_t room;
    char *buffer = ahead_make_room(&transport->ahead, &room);
    size_t wanted = room < transport->fill_bytes ? room : transport->fill_bytes;
    ssize_t got = read_more(&transport->stream, buffer, wanted);

    if (got > 0)
        ahead_add(&transport->ahead, (size_t)got);
    /* A client that sends so many small messages is served better in larger portions. */
    if ((size_t)got == wanted && transport->fill_bytes < AHEAD_BYTES)
        transport->fill_bytes *= 2;
    return got;
}

/* What the end of a read means, `done` bytes into a message. */
static int end_of_read(ssize_t got, bool is_at_start)
{
    if (got == 0 && is_at_start)
        return 0;
    if (got == 0)
        errno = ECONNRESET;
    return -1;
}

int transport_recv(struct transport *transport, void *buffer, size_t length)
{
    size_t done = ahead_take(&transport->ahead, buffer, length);

    while (done < length) {
        char *rest = (char *)buffer + done;
        bool is_direct = length - done >= DIRECT_BYTES;
        ssize_t got = is_direct ? read_rest(&transport->stream, rest, length - done)
                                : fill_ahead(transport, read_on);
        if (got <= 0)
            return end_of_read(got, done == 0);
        if (is_direct)
            /* What of the next payload is read ahead has to be copied. */
            transport->fill_bytes = FILL_MIN_BYTES;
        done += is_direct ? (size_t)got : ahead_take(&transport->ahead, rest, length - done);
    }
    return 1;
}

int transport_borrow(struct transport *transport, void **bytes, size_t length)
{
    while (ahead_count(&transport->ahead) < length) {
        ssize_t got = fill_ahead(transport, read_on);
        if (got <= 0)
            return end_of_read(got, ahead_count(&transport->ahead) == 0);
    }
    *bytes = ahead_peek(&transport->ahead);
    ahead_take(&transport->ahead, NULL, length);
    return 1;
}

int transport_skip(struct transport *transport, uint64_t length)
{
    bool is_at_start = true;

    while (length > 0) {
        if (ahead_count(&transport->ahead) == 0) {
            ssize_t got = fill_ahead(transport, read_on);
            if (got <= 0)
                return end_of_read(got, is_at_start);
        }
        length -=
            ahead_take(&transport->ahead, NULL, length < SIZE_MAX ? (size_t)length : SIZE_MAX);
        is_at_start = false;
    }
    return 1;
}

int transport_wait(struct transport *transport)
{
    if (ahead_count(&transport->ahead) > 0)
        return 1;
    ssize_t got = fill_ahead(transport, stream_read);
    return got > 0 ? 1 : (int)got;
}

void transport_set_idle(struct transport *transport, int idle_ms)
{
    struct timeval timeout = { .tv_sec = idle_ms / 1000, .tv_usec = idle_ms % 1000 * 1000 };

    if (transport->stream.idle_ms == idle_ms)
        return;
    transport->stream.idle_ms = idle_ms;
    /* Where this fails, the client never counts as idle. */
    if (transport->stream.is_socket)
        setsockopt(transport->stream.in_fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
}

void transport_set_lingering(struct transport *transport, bool is_wanted)
{
    transport->stream.linger.is_wanted = is_wanted;
}

void transport_rest(struct transport *transport)
{
    ahead_rest(&transport->ahead);
}

const void *transport_peek(const struct transport *transport, size_t *length)
{
    *length = ahead_count(&transport->ahead);
    return ahead_peek(&transport->ahead);
}

void transport_change_ahead(struct transport *transport, struct ahead *other)
{
    struct ahead old = transport->ahead;

    ahead_copy(&old, other);
    transport->ahead = *other;
    *other = old;
}

int transport_send(struct transport *transport, struct iovec *vectors, int count)
{
    return stream_send(&transport->stream, vectors, count);
}

void transport_send_now(struct transport *transport, struct iovec *vectors, int count)
{
    stream_send_now(&transport->stream, vectors, count);
}

size_t transport_count_ahead(const struct transport *transport)
{
    return ahead_count(&transport->ahead);
}

/* Goes on until the handshake is over. Returns 0, or -1 when the connection is of no use. */
static int shake_hands(struct transport *transport)
{
    int ready = 1;

    while (ready > 0) {
        int result = tls_shake_hands(transport->stream.tls);
        bool is_waiting = result < 0 && errno == EAGAIN;
        if (result == 0 || is_waiting)
            result = stream_flush(&transport->stream);
        else
            tls_flush(transport->stream.tls); /* an alert, if there is room for it */
        if (!is_waiting || result < 0)
            return result;
        progress_begin_turn(&transport->stream.receiving);
        ready = stream_wait_for_input(&transport->stream);
        progress_end_turn(&transport->stream.receiving);
    }
    return -1;
}

int transport_start_tls(struct transport *transport, const struct tls_credentials *credentials)
{
    transport->stream.tls = tls_new(credentials, transport->stream.in_fd, transport->stream.out_fd);
    /* A session that failed stays to the end: another thread may be about to end the connection. */
    return transport->stream.tls && shake_hands(transport) == 0 ? 0 : -1;
}

const struct tls *transport_get_tls(const struct transport *transport)
{
    return transport->stream.tls;
}

void transport_say_goodbye(struct transport *transport)
{
    if (!transport->stream.tls || !tls_is_established(transport->stream.tls))
        return;
    /* Not for good, even where the client takes nothing any more. */
    transport_set_deadline(transport, SLOW_CLIENT_MS);
    tls_say_goodbye(transport->stream.tls);
    stream_flush(&transport->stream);
}

static void raise_event(int fd)
{
    uint64_t one = 1;

    if (write(fd, &one, sizeof one) < 0) {
        /* EAGAIN: it is readable already. */
    }
}

void transport_wake_reader(struct transport *transport)
{
    if (transport->stream.is_socket)
        shutdown(transport->stream.in_fd, SHUT_RD);
    else
        raise_event(transport->stream.reader_wake_fd);
}

void transport_wake_all(struct transport *transport)
{
    if (transport->stream.is_socket) {
        shutdown(transport->stream.in_fd, SHUT_RDWR);
        if (transport->stream.out_fd != transport->stream.in_fd)
            shutdown(transport->stream.out_fd, SHUT_RDWR);
        return;
    }
    raise_event(transport->stream.reader_wake_fd);
    raise_event(transport->stream.all_wake_fd);
}

void transport_end(struct transport *transport)
{
    if (transport->stream.tls)
        tls_end_now(transport->stream.tls);
    transport_wake_all(transport);
}

void transport_set_deadline(struct transport *transport, unsigned timeout_ms)
{
    stream_set_deadline(&transport->stream, timeout_ms);
}

bool transport_clear_deadline(struct transport *transport)
{
    bool is_missed = stream_get_patience_ms(&transport->stream) == 0;

    transport->stream.deadline_ms = 0;
    return is_missed;
}

void transport_pause_deadline(struct transport *transport)
{
    stream_pause_deadline(&transport->stream);
}

void transport_resume_deadline(struct transport *transport)
{
    stream_resume_deadline(&transport->stream);
}

const char *transport_find_stuck(struct transport *transport, int64_t now_ms)
{
    struct stream *stream = &transport->stream;

    bool is_receiving_stuck = progress_is_stuck(&stream->receiving, now_ms);
    bool is_sending_stuck = progress_is_stuck(&stream->sending, now_ms);
    return is_sending_stuck     ? "has taken none of its replies"
           : is_receiving_stuck ? "has sent no more of what it began"
                                : NULL;
}

bool transport_is_hung_up(const struct transport *transport)
{
    struct pollfd in = { .fd = transport->stream.in_fd, .events = POLLRDHUP };

    return poll(&in, 1, 0) > 0;
}

bool transport_is_silent(const struct transport *transport, int wait_ms)
{
    struct pollfd in = { .fd = transport->stream.in_fd, .events = POLLIN };

    if (ahead_count(&transport->ahead) > 0 ||
        (transport->stream.tls && tls_has_input(transport->stream.tls)))
        return false;
    return poll(&in, 1, wait_ms) == 0;
}

int transport_get_socket(const struct transport *transport)
{
    return transport->stream.is_socket ? transport->stream.in_fd : -1;
}

/*
 * close(2) with unread input resets the connection, and a reset can destroy
 * replies that the client has not read yet: read what is there first.
 */
static void drain_input(struct transport *transport)
{
    char dropped[DIRECT_BYTES];

    for (int i = 0; i < DRAIN_ROUNDS; i++)
        if (recv(transport->stream.in_fd, dropped, sizeof dropped, MSG_DONTWAIT) <= 0)
            return;
}

void transport_close(struct transport *transport)
{
    if (transport->stream.is_socket) {
        shutdown(transport->stream.out_fd, SHUT_WR);
        drain_input(transport);
    }
    if (transport->stream.tls)
        tls_free(transport->stream.tls);
    close(transport->stream.in_fd);
    if (transport->stream.out_fd != transport->stream.in_fd)
        close(transport->stream.out_fd);
    close_if_open(transport->stream.reader_wake_fd);
    close_if_open(transport->stream.all_wake_fd);
    ahead_free(&transport->ahead);
    free(transport);
}
