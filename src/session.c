// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns a client's session and its worker threads. The session's thread enters
 * at the top; workers take turns: whoever holds read_lock reads one request,
 * then lets the next one read while it has its own request done. Calls
 * handshake, request, protocol, export, plugin, conn, transport and api.
 */
#include "session.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "cleanup.h"
#include "conn.h"
#include "debug_flags.h"
#include "export.h"
#include "handshake.h"
#include "log.h"
#define NBDKIT_API_VERSION 2
#include "nbdkit-plugin.h"
#include "plugin.h"
#include "policy.h"
#include "protocol.h"
#include "request.h"
#include "transport.h"

struct session {
    struct conn *conn;
    unsigned limit; /* threads that may serve, the session's own included */

    pthread_mutex_t read_lock;
    bool is_input_done; /* under read_lock */

    pthread_mutex_t workers_lock;
    unsigned readers;      /* threads that read or wait for their turn; under workers_lock */
    unsigned worker_count; /* under workers_lock */
    pthread_t *workers;    /* limit - 1 of them at most; under workers_lock */
};

/* The calling thread is the connection's from now on. */
static void enter_thread(struct conn *conn)
{
    char context[64];

    snprintf(context, sizeof context, "%s[%u]", plugin_get_name(), conn->number);
    log_set_context(context);
    api_set_conn(conn);
}

/* With -s it is the main thread, which goes on to unload the plugin. */
static void leave_thread(void)
{
    log_set_context("");
    api_set_conn(NULL);
}

/* Reads the next request, in turn. Returns false when there will be none. */
static bool take_request(struct session *session, struct request *request)
{
    LOCK_SCOPE(&session->read_lock);

    if (session->is_input_done || conn_get_state(session->conn) >= CONN_CLOSING)
        return false;
    if (request_read(session->conn, request) > 0)
        return true;
    session->is_input_done = true;
    return false;
}

static void *run_worker(void *argument);

/* Starts a worker if nobody is left to read while this thread is in the plugin. */
static void leave_reading(struct session *session)
{
    LOCK_SCOPE(&session->workers_lock);

    session->readers--;
    if (session->readers > 0 || session->worker_count + 1 >= session->limit)
        return;
    int error = pthread_create(&session->workers[session->worker_count], NULL, run_worker, session);
    if (error) {
        /* The requests are served all the same, fewer at once. */
        log_error("cannot start a thread, serving with %u: %s", session->worker_count + 1,
                  strerrordesc_np(error));
        session->limit = session->worker_count + 1;
        return;
    }
    session->worker_count++;
    session->readers++;
}

static void resume_reading(struct session *session)
{
    LOCK_SCOPE(&session->workers_lock);
    session->readers++;
}

static void serve_requests(struct session *session)
{
    struct request request;

    while (take_request(session, &request)) {
        leave_reading(session);
        protocol_answer(session->conn, &request);
        resume_reading(session);
    }
}

static void *run_worker(void *argument)
{
    struct session *session = argument;

    enter_thread(session->conn);
    serve_requests(session);
    return NULL;
}

/* Returns false when there is no worker number `i`; only a worker makes another one. */
static bool get_worker(struct session *session, unsigned i, pthread_t *worker)
{
    LOCK_SCOPE(&session->workers_lock);

    if (i >= session->worker_count)
        return false;
    *worker = session->workers[i];
    return true;
}

static void run_transmission(struct conn *conn)
{
    bool is_parallel = plugin_get_thread_model() == NBDKIT_THREAD_MODEL_PARALLEL;
    struct session session = { .conn = conn,
                               .limit = is_parallel ? conn->policy->threads : 1,
                               .readers = 1 };
    pthread_t worker;

    session.workers = calloc(session.limit, sizeof *session.workers);
    if (!session.workers)
        session.limit = 1;
    pthread_mutex_init(&session.read_lock, NULL);
    pthread_mutex_init(&session.workers_lock, NULL);
    serve_requests(&session);
    for (unsigned i = 0; get_worker(&session, i, &worker); i++)
        pthread_join(worker, NULL);
    pthread_mutex_destroy(&session.workers_lock);
    pthread_mutex_destroy(&session.read_lock);
    free(session.workers);
}

/* Returns whether the transmission phase begins. */
static bool negotiate(struct conn *conn)
{
    unsigned timeout_ms = conn->policy->timeout_ms;

    if (timeout_ms > 0)
        transport_set_deadline(conn->transport, timeout_ms);
    bool is_agreed = plugin_preconnect(conn) == 0 && handshake_run(conn) > 0;
    if (timeout_ms > 0 && transport_clear_deadline(conn->transport) && !is_agreed)
        /* No error: whoever knocks at every door of a network would fill the log. */
        log_debug("the handshake took longer than --timeout, dropping the client");
    return is_agreed;
}

void session_run(struct conn *conn)
{
    enter_thread(conn);
    DEBUG_LOG(DEBUG_CONTROLPATH, "a client connected");
    if (negotiate(conn))
        run_transmission(conn);
    /* What was read is answered; what the client sends from here on is nobody's. */
    conn_advance(conn, CONN_CLOSING);
    export_close(conn);
    DEBUG_LOG(DEBUG_CONTROLPATH, "the client is gone");
    leave_thread();
}
