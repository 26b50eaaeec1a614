// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns the handshake phase: the greeting, and reading options. Entered by the
 * session's thread; calls choose, meta and starttls, conn and transport.
 */
#include "handshake.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>

#include "choose.h"
#include "cleanup.h"
#include "conn.h"
#include "debug_flags.h"
#include "log.h"
#include "meta.h"
#include "option.h"
#include "policy.h"
#include "quit.h"
#include "starttls.h"
#include "transport.h"
#include "wire.h"

/* The data of longer options is dropped; if it matters, NBD_REP_ERR_TOO_BIG. */
enum { OPTION_MAX_BYTES = 64 * 1024 };

/* A client that haggles longer than this means no good. */
enum { OPTION_MAX_COUNT = 4096 };

static enum option_outcome do_abort(struct conn *conn, const struct option *option)
{
    option_reply_ack(conn, option);
    return OPTION_CLIENT_ENDS;
}

/* As a server would answer that never heard of the option. */
static enum option_outcome refuse_unknown(struct conn *conn, const struct option *option)
{
    return option_reply_error(conn, option, NBD_REP_ERR_UNSUP,
                              "this server does not know the option");
}

static enum option_outcome do_structured_reply(struct conn *conn, const struct option *option)
{
    if (conn->policy->refuses_structured_replies)
        return refuse_unknown(conn, option);
    if (option->length > 0)
        return option_reply_error(conn, option, NBD_REP_ERR_INVALID,
                                  "NBD_OPT_STRUCTURED_REPLY carries no data");
    if (conn->has_extended_headers)
        return option_reply_error(conn, option, NBD_REP_ERR_EXT_HEADER_REQD,
                                  "extended headers are in use, there is no way back");
    conn->has_structured_replies = true;
    return option_reply_ack(conn, option);
}

static enum option_outcome do_extended_headers(struct conn *conn, const struct option *option)
{
    if (conn->policy->refuses_structured_replies)
        return refuse_unknown(conn, option);
    if (option->length > 0)
        return option_reply_error(conn, option, NBD_REP_ERR_INVALID,
                                  "NBD_OPT_EXTENDED_HEADERS carries no data");
    conn->has_structured_replies = conn->has_extended_headers = true;
    return option_reply_ack(conn, option);
}

static enum option_outcome do_meta_context(struct conn *conn, const struct option *option)
{
    return conn->policy->refuses_meta_contexts ? refuse_unknown(conn, option)
                                               : meta_select(conn, option);
}

static enum option_outcome (*const option_functions[])(struct conn *, const struct option *) = {
    [NBD_OPT_EXPORT_NAME] = choose_by_name,
    [NBD_OPT_ABORT] = do_abort,
    [NBD_OPT_LIST] = choose_list,
    [NBD_OPT_STARTTLS] = starttls_do,
    [NBD_OPT_INFO] = choose_by_info,
    [NBD_OPT_GO] = choose_by_info,
    [NBD_OPT_STRUCTURED_REPLY] = do_structured_reply,
    [NBD_OPT_LIST_META_CONTEXT] = do_meta_context,
    [NBD_OPT_SET_META_CONTEXT] = do_meta_context,
    [NBD_OPT_EXTENDED_HEADERS] = do_extended_headers,
};
enum { OPTION_COUNT = sizeof option_functions / sizeof option_functions[0] };
_Static_assert(OPTION_COUNT == NBD_OPT_EXTENDED_HEADERS + 1, "a place for each option");

static enum option_outcome do_option(struct conn *conn, const struct option *option)
{
    DEBUG_LOG(DEBUG_CONTROLPATH, "option %" PRIu32 ", %" PRIu32 " bytes", option->number,
              option->length);
    if (quit_is_stopping() && option->number != NBD_OPT_ABORT &&
        option->number != NBD_OPT_EXPORT_NAME)
        return option_reply_error(conn, option, NBD_REP_ERR_SHUTDOWN,
                                  "the server is shutting down");
    if (starttls_is_missing(conn, option))
        return starttls_refuse(conn, option);
    if (option->number < OPTION_COUNT && option_functions[option->number])
        return option_functions[option->number](conn, option);
    return refuse_unknown(conn, option);
}

/* What a read came to: `got` as transport_recv() returns it. */
static enum option_outcome end_of_input(struct conn *conn, int got, bool is_between_options)
{
    if (got == 0 && is_between_options)
        return OPTION_CLIENT_ENDS;
    if (conn_get_state(conn) < CONN_CLOSING && !(got < 0 && errno == ETIMEDOUT))
        log_debug("the client left in the middle of an option");
    return OPTION_FAILED;
}

/* Whether it matters what the data of an option is, not only whether there is any. */
static bool has_meaningful_data(const struct option *option)
{
    switch (option->number) {
    case NBD_OPT_INFO:
    case NBD_OPT_GO:
    case NBD_OPT_LIST_META_CONTEXT:
    case NBD_OPT_SET_META_CONTEXT:
        return true;
    default:
        return false;
    }
}

static enum option_outcome refuse_long_option(struct conn *conn, const struct option *option)
{
    if (option->number == NBD_OPT_EXPORT_NAME) {
        log_error("the client sent an export name of %" PRIu32 " bytes, more than 4096",
                  option->length);
        return OPTION_FAILED;
    }
    int got = transport_skip(conn->transport, option->length);
    if (got <= 0)
        return end_of_input(conn, got, false);
    if (!has_meaningful_data(option))
        return do_option(conn, option);
    if (starttls_is_missing(conn, option))
        return starttls_refuse(conn, option);
    /* "replaces all previously-set metadata contexts (including when this command fails)" */
    if (option->number == NBD_OPT_SET_META_CONTEXT)
        meta_forget(conn);
    return option_reply_error(conn, option, NBD_REP_ERR_TOO_BIG,
                              "the option is longer than 65536 bytes");
}

static enum option_outcome read_option(struct conn *conn, uint32_t client_flags)
{
    struct wire_option header;
    int got = transport_recv(conn->transport, &header, sizeof header);

    if (got <= 0)
        return end_of_input(conn, got, true);
    if (header.magic != htobe64(WIRE_OPTION_MAGIC)) {
        log_error("the client sent something that is not an NBD option, closing the connection");
        return OPTION_FAILED;
    }
    struct option option = {
        .number = be32toh(header.option),
        .length = be32toh(header.length),
        .has_no_zeroes = client_flags & NBD_FLAG_NO_ZEROES,
    };
    if (!(client_flags & NBD_FLAG_FIXED_NEWSTYLE) && option.number != NBD_OPT_EXPORT_NAME) {
        log_error("the client sent option %" PRIu32 " without fixed newstyle negotiation, "
                  "closing the connection",
                  option.number);
        return OPTION_FAILED;
    }
    if (option.length > OPTION_MAX_BYTES)
        return refuse_long_option(conn, &option);

    CLEANUP_FREE char *data = calloc(1, (size_t)option.length + 1);
    if (!data)
        return OPTION_FAILED;
    got = option.length ? transport_recv(conn->transport, data, option.length) : 1;
    if (got <= 0)
        return end_of_input(conn, got, false);
    option.data = data;
    return do_option(conn, &option);
}

static int greet(struct conn *conn, uint32_t *client_flags)
{
    struct wire_greeting greeting = {
        .init_passwd = htobe64(WIRE_INIT_PASSWD),
        .option_magic = htobe64(WIRE_OPTION_MAGIC),
        .handshake_flags = htobe16(conn->policy->handshake_flags),
    };
    struct iovec vector = { &greeting, sizeof greeting };

    if (conn_send(conn, &vector, 1) < 0)
        return -1;
    int got = transport_recv(conn->transport, client_flags, sizeof *client_flags);
    if (got <= 0)
        return got;
    *client_flags = be32toh(*client_flags);
    uint32_t unknown = *client_flags & ~(uint32_t)conn->policy->handshake_flags;
    if (unknown) {
        log_error("the client sent flags that it was not offered, 0x%" PRIx32
                  ", closing the connection",
                  unknown);
        return -1;
    }
    return 1;
}

/* Newstyle negotiation. Returns as handshake_run(). */
static int haggle(struct conn *conn)
{
    uint32_t client_flags;
    enum option_outcome outcome = OPTION_NEXT;
    unsigned count = 0;
    int greeted = greet(conn, &client_flags);

    if (greeted <= 0)
        return greeted;
    /* CLOSING and DEAD end the handshake; DRAINING waits for its end. */
    while (outcome == OPTION_NEXT && conn_get_state(conn) < CONN_CLOSING) {
        outcome = read_option(conn, client_flags);
        if (outcome == OPTION_NEXT && ++count == OPTION_MAX_COUNT) {
            log_error("the client sent %d options and chose no export, closing the connection",
                      OPTION_MAX_COUNT);
            return -1;
        }
    }
    if (outcome == OPTION_CHOSEN && conn_get_state(conn) < CONN_CLOSING)
        return 1;
    return outcome == OPTION_FAILED ? -1 : 0;
}

int handshake_run(struct conn *conn)
{
    if (conn->policy->is_oldstyle)
        return choose_oldstyle(conn) == OPTION_CHOSEN ? 1 : -1;
    return haggle(conn);
}
