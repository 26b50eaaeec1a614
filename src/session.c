// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns a client's session. The session's thread enters at the top; the others
 * of its crew begin in serve(). Calls handshake, request, protocol, export,
 * plugin, crew, conn, transport and api.
 */
#include "session.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "api.h"
#include "clock.h"
#include "conn.h"
#include "crew.h"
#include "debug_flags.h"
#include "export.h"
#include "handshake.h"
#include "log.h"
#define NBDKIT_API_VERSION 2
#include "nbdkit-plugin.h"
#include "outbox.h"
#include "pace.h"
#include "plugin.h"
#include "policy.h"
#include "protocol.h"
#include "request.h"
#include "transport.h"
#include "wire.h"

enum {
    OVERDUE_NS = 200 * 1000, /* a reply waits for others no longer, if there is a choice */
    LINGERING_MAX = 2, /* requests at once from a client that waits for each reply, or nearly */
    ALIGNMENT = 16,    /* malloc(3)'s: what plugins may expect of a buffer */
};

/* What the session's threads share besides the connection. */
struct session {
    struct crew crew;
    struct paces paces;
    int64_t waiting_since_ns; /* the first reply in the outbox, or 0; the leader's */
    unsigned run_length;      /* requests read since there was nothing to read; the leader's */
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

static struct session *get_session(struct member *member)
{
    return member->crew->context;
}

static void flush(struct member *member)
{
    crew_flush(member);
    if (member->is_leading)
        get_session(member)->waiting_since_ns = 0;
}

/* Waits for the client. Returns 1; 0 where others go on reading; -1 where there is no more. */
static int await_request(struct member *member)
{
    struct conn *conn = member->crew->conn;
    struct session *session = get_session(member);

    while (member->is_leading) {
        transport_set_lingering(conn->transport, session->run_length <= LINGERING_MAX);
        session->run_length = 0;
        transport_set_idle(conn->transport, CREW_IDLE_MS);
        int result = request_await(conn);
        if (result != 0)
            return result;
        crew_rest(member);
    }
    return 0;
}

/* Reads the next request. Returns as await_request(). */
static int read_request(struct member *member, struct request *request)
{
    struct conn *conn = member->crew->conn;
    int result = 1;

    if (!member->is_leading)
        return 0;
    if (!request_is_at_hand(conn)) {
        flush(member);
        result = await_request(member);
    }
    if (result <= 0)
        return result;
    get_session(member)->run_length++;
    return conn_get_state(conn) < CONN_CLOSING && request_read(conn, request) > 0 ? 1 : -1;
}

static bool next_request(struct member *member, struct request *request)
{
    int result = read_request(member, request);

    if (result < 0)
        crew_finish(member);
    return result > 0;
}

/* Can the reply wait in the outbox, and what the request needs be there? */
static bool has_place(struct member *member, const struct request *request)
{
    struct outbox *outbox = crew_get_outbox(member);
    bool has_data = request->type == NBD_CMD_READ || request->type == NBD_CMD_WRITE;

    return request->is_small && outbox && outbox_has_room(outbox, has_data ? request->count : 0);
}

/* Decides who does the request, and where its reply goes. Whoever leads may lead no more. */
static void place_request(struct member *member, struct request *request, bool is_slow)
{
    if (is_slow || member->crew->is_short || !has_place(member, request))
        flush(member);
    if (is_slow && member->is_leading && member->crew->limit > 1) {
        request_keep(member->crew->conn, request);
        crew_hand_over(member);
    }
    request->outbox =
        member->is_leading && has_place(member, request) ? member->lead->outbox : NULL;
    if (request->outbox && request->payload && (uintptr_t)request->payload % ALIGNMENT)
        request->payload =
            memcpy(outbox_get_data(request->outbox), request->payload, request->count);
}

/* Has the reply sent, with others or now. */
static void reply(struct member *member, struct request *request, struct answer *answer)
{
    struct conn *conn = member->crew->conn;

    if (!member->is_leading)
        request->outbox = NULL;
    if (request->outbox) {
        protocol_reply(conn, request, answer);
        return;
    }
    crew_begin_sending(member);
    protocol_reply(conn, request, answer);
    crew_end(member);
}

static void do_request(struct member *member, struct request *request)
{
    struct session *session = get_session(member);
    struct pace *pace = pace_find(&session->paces, request);
    struct answer answer;

    place_request(member, request, !request->error && pace_is_slow(pace));
    int64_t begun_ns = clock_read_ns();
    crew_begin_call(member);
    protocol_perform(member->crew->conn, request, &answer);
    crew_end(member);
    int64_t ended_ns = clock_read_ns();
    if (!request->error)
        pace_note(pace, ended_ns - begun_ns);
    bool is_waiting = member->is_leading && request->outbox;
    reply(member, request, &answer);
    if (!is_waiting)
        return;
    if (session->waiting_since_ns == 0)
        session->waiting_since_ns = ended_ns;
    else if (ended_ns - session->waiting_since_ns > OVERDUE_NS)
        flush(member);
}

/* All that a thread of the session does. */
static void serve(struct member *member)
{
    struct request request;

    enter_thread(member->crew->conn);
    while (crew_take_lead(member)) {
        while (next_request(member, &request))
            do_request(member, &request);
        crew_leave(member);
    }
}

static void run_transmission(struct conn *conn)
{
    bool is_parallel = plugin_get_thread_model() == NBDKIT_THREAD_MODEL_PARALLEL;
    struct session session = { .crew = { .conn = conn,
                                         .context = &session,
                                         .serve = serve,
                                         .limit = is_parallel ? conn->policy->threads : 1 } };

    crew_run(&session.crew);
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
