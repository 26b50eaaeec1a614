// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns the descriptors of a client's stream and the bytes that were read
 * ahead. Entered by the connection's threads and, to wake them, by any.
 * Calls tls and descriptor.
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
#include <time.h>
#include <unistd.h>

#include "ahead.h"
#include "descriptor.h"
#include "log.h"
#include "tls.h"

enum {
    DIRECT_BYTES = 16 * 1024, /* a message that lacks as much is read to where it belongs */
    FILL_MIN_BYTES = 4 * 1024,
    SLOW_CLIENT_MS = 5000,
    DRAIN_ROUNDS = 256,
};

struct transport {
    struct tls *tls; /* NULL: plain; the session's thread sets it, before it has workers */
    int in_fd;
    int out_fd;
    int stop_fd;
    bool is_socket;
    /* Pipes know no shutdown(2): these poll readable once woken. -1 for sockets. */
    int reader_wake_fd;
    int all_wake_fd;
    int64_t give_up_at_ms; /* CLOCK_MONOTONIC; 0 until the server is seen to stop; the writer's */
    int64_t deadline_ms;   /* CLOCK_MONOTONIC; 0: none; the session's thread writes it */
    int idle_ms;           /* transport_wait() gives up then; 0: never; the reader's */
    size_t fill_bytes;     /* how much to read ahead; the reader's */
    struct ahead ahead;    /* the reader's */
};

static int prepare_pipes(struct transport *transport)
{
    transport->reader_wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    transport->all_wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (transport->reader_wake_fd < 0 || transport->all_wake_fd < 0)
        return -1;
    transport->in_fd = descriptor_unblock_pipe(transport->in_fd, O_RDONLY);
    transport->out_fd = descriptor_unblock_pipe(transport->out_fd, O_WRONLY);
    return transport->in_fd < 0 || transport->out_fd < 0 ? -1 : 0;
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
    transport->in_fd = in_fd;
    transport->out_fd = out_fd;
    transport->stop_fd = stop_fd;
    transport->is_socket =
        descriptor_has_type(in_fd, S_IFSOCK) && descriptor_has_type(out_fd, S_IFSOCK);
    transport->reader_wake_fd = transport->all_wake_fd = -1;
    if (!transport->is_socket && prepare_pipes(transport) < 0) {
        close_if_open(transport->reader_wake_fd);
        close_if_open(transport->all_wake_fd);
        ahead_free(&transport->ahead);
        free(transport);
        return NULL;
    }
    return transport;
}

static int64_t read_clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/* For poll(2): -1 without a deadline. */
static int get_patience_ms(const struct transport *transport)
{
    if (transport->deadline_ms == 0)
        return -1;
    int64_t left_ms = transport->deadline_ms - read_clock_ms();
    return left_ms > 0 ? (int)left_ms : 0;
}

/*
 * Waits until there is something to read. Returns 1; 0 where readers were woken; -1 with errno,
 * EAGAIN where the client is idle.
 */
static int wait_for_input(struct transport *transport)
{
    struct pollfd fds[] = {
        { .fd = transport->in_fd, .events = POLLIN },
        { .fd = transport->reader_wake_fd, .events = POLLIN },
    };
    int patience_ms = get_patience_ms(transport);
    bool is_idle_end = patience_ms < 0 && transport->idle_ms > 0;
    /* Whoever sends without end is late too. */
    int ready = patience_ms == 0 ? 0 : poll(fds, 2, is_idle_end ? transport->idle_ms : patience_ms);

    if (ready == 0)
        errno = is_idle_end ? EAGAIN : ETIMEDOUT;
    if (ready <= 0)
        return -1;
    return fds[1].revents ? 0 : 1;
}

static ssize_t read_pipe(struct transport *transport, void *buffer, size_t length)
{
    for (;;) {
        int ready = wait_for_input(transport);
        if (ready <= 0)
            return ready;
        ssize_t got = read(transport->in_fd, buffer, length);
        if (got >= 0 || errno != EAGAIN)
            return got;
    }
}

/* Without a deadline there is no need to ask before reading. */
static ssize_t read_socket(struct transport *transport, void *buffer, size_t length)
{
    if (transport->deadline_ms != 0 && wait_for_input(transport) < 0)
        return -1;
    return recv(transport->in_fd, buffer, length, 0);
}

/* May more be read, though nobody has to wait for it? Returns as wait_for_input(). */
static int check_reader(struct transport *transport)
{
    struct pollfd wake = { .fd = transport->reader_wake_fd, .events = POLLIN };

    if (get_patience_ms(transport) == 0) {
        errno = ETIMEDOUT;
        return -1;
    }
    return transport->is_socket || poll(&wake, 1, 0) <= 0;
}

/* The session may have read ahead: it is asked before the descriptor is waited for. */
static ssize_t read_tls(struct transport *transport, void *buffer, size_t length)
{
    int ready = check_reader(transport);

    while (ready > 0) {
        ssize_t got = tls_recv(transport->tls, buffer, length);
        if (got >= 0 || errno != EAGAIN)
            return got;
        ready = wait_for_input(transport);
    }
    return ready;
}

static ssize_t read_some(struct transport *transport, void *buffer, size_t length)
{
    ssize_t got;

    do {
        if (transport->tls)
            got = read_tls(transport, buffer, length);
        else if (transport->is_socket)
            got = read_socket(transport, buffer, length);
        else
            got = read_pipe(transport, buffer, length);
    } while (got < 0 && errno == EINTR);
    return got;
}

/* In the middle of a message nobody is idle. */
static ssize_t read_on(struct transport *transport, void *buffer, size_t length)
{
    ssize_t got;

    do
        got = read_some(transport, buffer, length);
    while (got < 0 && errno == EAGAIN);
    return got;
}

/* Reads more ahead with `read_more`, read_some() or read_on(), and returns as they do. */
static ssize_t fill_ahead(struct transport *transport,
                          ssize_t (*read_more)(struct transport *, void *, size_t))
{
    size_t room;
    char *buffer = ahead_make_room(&transport->ahead, &room);
    size_t wanted = room < transport->fill_bytes ? room : transport->fill_bytes;
    ssize_t got = read_more(transport, buffer, wanted);

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
        ssize_t got = is_direct ? read_on(transport, rest, length - done)
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
        length -= ahead_take(&transport->ahead, NULL, length < SIZE_MAX ? (size_t)length : SIZE_MAX);
        is_at_start = false;
    }
    return 1;
}

int transport_wait(struct transport *transport)
{
    if (ahead_count(&transport->ahead) > 0)
        return 1;
    ssize_t got = fill_ahead(transport, read_some);
    return got > 0 ? 1 : (int)got;
}

void transport_set_idle(struct transport *transport, int idle_ms)
{
    struct timeval timeout = { .tv_sec = idle_ms / 1000, .tv_usec = idle_ms % 1000 * 1000 };

    if (transport->idle_ms == idle_ms)
        return;
    transport->idle_ms = idle_ms;
    /* Where this fails, the client never counts as idle. */
    if (transport->is_socket)
        setsockopt(transport->in_fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
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

static ssize_t write_some(struct transport *transport, struct iovec *vectors, int count)
{
    struct msghdr message = { .msg_iov = vectors, .msg_iovlen = (size_t)count };

    if (transport->tls)
        return tls_send(transport->tls, vectors, count);
    if (transport->is_socket)
        return sendmsg(transport->out_fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    return writev(transport->out_fd, vectors, count);
}

/* All that is still to be sent when the server stops has one and the same time for it. */
static int get_time_left_ms(struct transport *transport)
{
    int64_t now_ms = read_clock_ms();

    if (transport->give_up_at_ms == 0)
        transport->give_up_at_ms = now_ms + SLOW_CLIENT_MS;
    int64_t left_ms = transport->give_up_at_ms - now_ms;
    return left_ms > 0 ? (int)left_ms : 0;
}

/* Waits until the client takes more. Returns 0, or -1 with errno. */
static int wait_for_room(struct transport *transport)
{
    struct pollfd fds[] = {
        { .fd = transport->out_fd, .events = POLLOUT },
        { .fd = transport->all_wake_fd, .events = POLLIN },
        { .fd = transport->stop_fd, .events = POLLIN },
    };

    int ready = poll(fds, 3, get_patience_ms(transport));
    if (ready > 0 && fds[2].revents && !fds[1].revents)
        ready = poll(fds, 2, get_time_left_ms(transport));
    if (ready < 0)
        return errno == EINTR ? 0 : -1;
    if (ready == 0 || fds[1].revents) {
        errno = ready == 0 ? ETIMEDOUT : EPIPE;
        return -1;
    }
    return 0;
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
static int retry_sending(struct transport *transport)
{
    if (errno == EINTR)
        return 0;
    return errno == EAGAIN ? wait_for_room(transport) : -1;
}

/* Sends what a session of TLS keeps. Returns 0, or -1 with errno. */
static int flush(struct transport *transport)
{
    while (transport->tls && tls_flush(transport->tls) < 0)
        if (retry_sending(transport) < 0)
            return -1;
    return 0;
}

int transport_send(struct transport *transport, struct iovec *vectors, int count)
{
    while (count > 0) {
        ssize_t sent = write_some(transport, vectors, count);
        if (sent < 0) {
            if (retry_sending(transport) < 0)
                return -1;
            continue;
        }
        int done = advance(vectors, count, (size_t)sent);
        vectors += done;
        count -= done;
    }
    return flush(transport);
}

void transport_send_now(struct transport *transport, struct iovec *vectors, int count)
{
    while (count > 0) {
        ssize_t sent = write_some(transport, vectors, count);
        if (sent < 0)
            break;
        int done = advance(vectors, count, (size_t)sent);
        vectors += done;
        count -= done;
    }
    if (transport->tls)
        tls_flush(transport->tls);
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
        int result = tls_shake_hands(transport->tls);
        bool is_waiting = result < 0 && errno == EAGAIN;
        if (result == 0 || is_waiting)
            result = flush(transport);
        else
            tls_flush(transport->tls); /* an alert, if there is room for it */
        if (!is_waiting || result < 0)
            return result;
        ready = wait_for_input(transport);
    }
    return -1;
}

int transport_start_tls(struct transport *transport, const struct tls_credentials *credentials)
{
    transport->tls = tls_new(credentials, transport->in_fd, transport->out_fd);
    if (transport->tls && shake_hands(transport) == 0)
        return 0;
    if (transport->tls)
        tls_free(transport->tls);
    transport->tls = NULL;
    return -1;
}

const struct tls *transport_get_tls(const struct transport *transport)
{
    return transport->tls;
}

void transport_say_goodbye(struct transport *transport)
{
    if (!transport->tls)
        return;
    /* Not for good, even where the client takes nothing any more. */
    transport_set_deadline(transport, SLOW_CLIENT_MS);
    tls_say_goodbye(transport->tls);
    flush(transport);
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
    if (transport->is_socket)
        shutdown(transport->in_fd, SHUT_RD);
    else
        raise_event(transport->reader_wake_fd);
}

void transport_wake_all(struct transport *transport)
{
    if (transport->is_socket) {
        shutdown(transport->in_fd, SHUT_RDWR);
        if (transport->out_fd != transport->in_fd)
            shutdown(transport->out_fd, SHUT_RDWR);
        return;
    }
    raise_event(transport->reader_wake_fd);
    raise_event(transport->all_wake_fd);
}

void transport_set_deadline(struct transport *transport, unsigned timeout_ms)
{
    transport->deadline_ms = read_clock_ms() + timeout_ms;
}

bool transport_clear_deadline(struct transport *transport)
{
    bool is_missed = get_patience_ms(transport) == 0;

    transport->deadline_ms = 0;
    return is_missed;
}

bool transport_is_hung_up(const struct transport *transport)
{
    struct pollfd in = { .fd = transport->in_fd, .events = POLLRDHUP };

    return poll(&in, 1, 0) > 0;
}

bool transport_is_silent(const struct transport *transport, int wait_ms)
{
    struct pollfd in = { .fd = transport->in_fd, .events = POLLIN };

    if (ahead_count(&transport->ahead) > 0 || (transport->tls && tls_has_input(transport->tls)))
        return false;
    return poll(&in, 1, wait_ms) == 0;
}

int transport_get_socket(const struct transport *transport)
{
    return transport->is_socket ? transport->in_fd : -1;
}

/*
 * close(2) with unread input resets the connection, and a reset can destroy
 * replies that the client has not read yet: read what is there first.
 */
static void drain_input(struct transport *transport)
{
    char dropped[DIRECT_BYTES];

    for (int i = 0; i < DRAIN_ROUNDS; i++)
        if (recv(transport->in_fd, dropped, sizeof dropped, MSG_DONTWAIT) <= 0)
            return;
}

void transport_close(struct transport *transport)
{
    if (transport->is_socket) {
        shutdown(transport->out_fd, SHUT_WR);
        drain_input(transport);
    }
    if (transport->tls)
        tls_free(transport->tls);
    close(transport->in_fd);
    if (transport->out_fd != transport->in_fd)
        close(transport->out_fd);
    close_if_open(transport->reader_wake_fd);
    close_if_open(transport->all_wake_fd);
    ahead_free(&transport->ahead);
    free(transport);
}
