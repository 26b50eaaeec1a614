// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns struct conn and the rules of its state. Entered by every thread; calls
 * transport and quit.
 */
#include "conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "log.h"
#include "progress.h"
#include "quit.h"
#include "transport.h"

struct conn *conn_new(struct transport *transport, unsigned number, const struct policy *policy)
{
    struct conn *conn = calloc(1, sizeof *conn);
    pthread_condattr_t monotonic;

    if (!conn)
        return NULL;
    conn->number = number;
    conn->transport = transport;
    conn->policy = policy;
    pthread_mutex_init(&conn->state_lock, NULL);
    pthread_mutex_init(&conn->write_lock, NULL);
    pthread_mutex_init(&conn->request_lock, NULL);
    pthread_mutex_init(&conn->intern.lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&conn->state_changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    budget_open(&conn->memory, transport);
    return conn;
}

void conn_free(struct conn *conn)
{
    if (conn_get_state(conn) != CONN_DEAD)
        transport_say_goodbye(conn->transport);
    budget_close(&conn->memory);
    spares_drop(&conn->spares);
    transport_close(conn->transport);
    intern_free(&conn->intern);
    pthread_cond_destroy(&conn->state_changed);
    pthread_mutex_destroy(&conn->intern.lock);
    pthread_mutex_destroy(&conn->request_lock);
    pthread_mutex_destroy(&conn->write_lock);
    pthread_mutex_destroy(&conn->state_lock);
    free(conn->default_name);
    free(conn->meta_export);
    free(conn);
}

void conn_advance(struct conn *conn, enum conn_state target)
{
    LOCK_SCOPE(&conn->state_lock);

    if (target <= atomic_load(&conn->state))
        return;
    atomic_store(&conn->state, target);
    if (target == CONN_CLOSING)
        transport_wake_reader(conn->transport);
    if (target == CONN_DEAD)
        transport_end(conn->transport);
    if (target >= CONN_CLOSING)
        budget_abandon(&conn->memory);
    pthread_cond_broadcast(&conn->state_changed);
}

enum conn_state conn_get_state(struct conn *conn)
{
    return atomic_load(&conn->state);
}

bool conn_has_meta_context(const struct conn *conn)
{
    return conn->meta_export && strcmp(conn->meta_export, conn->export.requested_name) == 0;
}

void conn_note_client_gone(struct conn *conn)
{
    LOCK_SCOPE(&conn->state_lock);

    conn->is_client_gone = true;
    pthread_cond_broadcast(&conn->state_changed);
}

bool conn_is_ending(struct conn *conn)
{
    return conn_get_state(conn) >= CONN_CLOSING || transport_is_hung_up(conn->transport);
}

/* Says so where the client was dropped for the memory that it holds. */
static void report_dropped(struct conn *conn, const char *fault)
{
    if (budget_was_dropped(&conn->memory))
        log_error("the client does not %s, and others wait for the memory that it holds (see "
                  "--bytes-in-flight), dropping it",
                  fault);
}

/* How many of the vectors, counted from the first, are a slice together; 0 if that one is longer.
 */
static int count_slice(const struct iovec *vectors, int count)
{
    size_t length = 0;
    int i;

    for (i = 0; i < count && vectors[i].iov_len <= CONN_SLICE_BYTES - length; i++)
        length += vectors[i].iov_len;
    return i;
}

/* Sends a message in slices, to see whether the client goes on taking it. */
static int send_slices(struct conn *conn, struct iovec *vectors, int count)
{
    int result = 0;

    while (count > 0 && result == 0) {
        int slice = count_slice(vectors, count);
        struct iovec part = { vectors->iov_base, CONN_SLICE_BYTES };
        progress_begin_turn(&conn->memory.sending);
        result = transport_send(conn->transport, slice ? vectors : &part, slice ? slice : 1);
        progress_end_turn(&conn->memory.sending);
        vectors += slice;
        count -= slice;
        if (slice == 0) {
            vectors->iov_base = (char *)vectors->iov_base + CONN_SLICE_BYTES;
            vectors->iov_len -= CONN_SLICE_BYTES;
        }
    }
    return result;
}

int conn_send(struct conn *conn, struct iovec *vectors, int count)
{
    LOCK_SCOPE(&conn->write_lock);

    if (conn_get_state(conn) == CONN_DEAD)
        return -1;
    if (send_slices(conn, vectors, count) == 0)
        return 0;
    report_dropped(conn, "take its replies");
    if (conn_get_state(conn) != CONN_DEAD)
        log_debug("cannot send to the client, dropping it: %m");
    conn_advance(conn, CONN_DEAD);
    return -1;
}

void conn_send_now(struct conn *conn, struct iovec *vectors, int count)
{
    /* Whoever holds it may be waiting for the client. */
    if (pthread_mutex_trylock(&conn->write_lock) != 0)
        return;
    if (conn_get_state(conn) != CONN_DEAD)
        transport_send_now(conn->transport, vectors, count);
    pthread_mutex_unlock(&conn->write_lock);
}

int conn_receive(struct conn *conn, void *buffer, size_t length)
{
    int got = 1;

    for (size_t done = 0; done < length && got > 0; done += CONN_SLICE_BYTES) {
        size_t left = length - done;
        progress_begin_turn(&conn->memory.receiving);
        got = transport_recv(conn->transport, (char *)buffer + done,
                             left < CONN_SLICE_BYTES ? left : CONN_SLICE_BYTES);
        progress_end_turn(&conn->memory.receiving);
    }
    if (got <= 0)
        report_dropped(conn, "send its data");
    return got;
}

bool conn_sleep(struct conn *conn, const struct timespec *deadline)
{
    LOCK_SCOPE(&conn->state_lock);

    for (;;) {
        /* The server stops by moving every connection to CLOSING, which wakes us. */
        if (conn_get_state(conn) == CONN_DEAD || conn->is_client_gone || quit_is_stopping())
            return false;
        if (pthread_cond_timedwait(&conn->state_changed, &conn->state_lock, deadline) == ETIMEDOUT)
            return true;
    }
}
