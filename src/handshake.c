// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns the handshake phase, one function per option. Entered by the
 * session's thread; calls export, conn and transport.
 */
#include "handshake.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "conn.h"
#include "debug_flags.h"
#include "export.h"
#include "exports.h"
#include "log.h"
#include "option.h"
#include "quit.h"
#include "transport.h"
#include "wire.h"

/* Longer options are dropped and refused with NBD_REP_ERR_TOO_BIG. */
enum { OPTION_MAX_BYTES = 64 * 1024 };

/* A client that haggles longer than this means no good. */
enum { OPTION_MAX_COUNT = 4096 };

/* The plugin has no export for the client, or the server has none any more. */
static enum option_outcome reply_no_export(struct conn *conn, const struct option *option,
                                           const char *text)
{
    if (quit_is_stopping())
        return option_reply_error(conn, option, NBD_REP_ERR_SHUTDOWN,
                                  "the server is shutting down");
    return option_reply_error(conn, option, NBD_REP_ERR_UNKNOWN, text);
}

static enum option_outcome send_export(struct conn *conn, bool has_no_zeroes)
{
    struct {
        uint64_t size;
        uint16_t flags;
        char zeroes[124];
    } __attribute__((__packed__)) reply = {
        .size = htobe64(conn->export.size_bytes),
        .flags = htobe16(export_get_flags(conn)),
    };
    struct iovec vector = { &reply, sizeof reply - (has_no_zeroes ? sizeof reply.zeroes : 0) };

    return conn_send(conn, &vector, 1) < 0 ? OPTION_FAILED : OPTION_CHOSEN;
}

/* This option has no error reply: the server MUST end the session instead. */
static enum option_outcome do_export_name(struct conn *conn, const struct option *option)
{
    if (strlen(option->data) != option->length || !exports_is_valid_string(option->data)) {
        log_error("the client sent an export name that is not a string of at most 4096 bytes");
        return OPTION_FAILED;
    }
    if (conn->has_extended_headers) {
        log_error("the client sent NBD_OPT_EXPORT_NAME after NBD_OPT_EXTENDED_HEADERS, which "
                  "go with NBD_OPT_GO, closing the connection");
        return OPTION_FAILED;
    }
    if (export_open(conn, option->data) < 0)
        return OPTION_FAILED;
    return send_export(conn, option->has_no_zeroes);
}

static enum option_outcome do_abort(struct conn *conn, const struct option *option)
{
    option_reply_ack(conn, option);
    return OPTION_CLIENT_ENDS;
}

static enum option_outcome reply_server(struct conn *conn, const struct option *option,
                                        const struct export_entry *entry)
{
    size_t name_length = strlen(entry->name);
    size_t description_length = entry->description ? strlen(entry->description) : 0;
    CLEANUP_FREE char *text = malloc(name_length + description_length + 1);
    uint32_t length = htobe32((uint32_t)name_length);

    if (!text)
        return OPTION_FAILED;
    memcpy(text, entry->name, name_length);
    if (entry->description)
        memcpy(text + name_length, entry->description, description_length);
    return option_reply_parts(conn, option, NBD_REP_SERVER,
                              (struct iovec){ &length, sizeof length },
                              (struct iovec){ text, name_length + description_length });
}

static enum option_outcome send_list(struct conn *conn, const struct option *option,
                                     struct nbdkit_exports *exports)
{
    size_t count;

    if (export_list(conn, exports) < 0)
        return reply_no_export(conn, option, "the exports cannot be listed");
    const struct export_entry *entries = exports_get(exports, &count);
    for (size_t i = 0; i < count; i++)
        if (reply_server(conn, option, &entries[i]) == OPTION_FAILED)
            return OPTION_FAILED;
    return option_reply_ack(conn, option);
}

static enum option_outcome do_list(struct conn *conn, const struct option *option)
{
    if (option->length > 0)
        return option_reply_error(conn, option, NBD_REP_ERR_INVALID,
                                  "NBD_OPT_LIST carries no data");
    struct nbdkit_exports *exports = exports_new();
    if (!exports)
        return OPTION_FAILED;
    enum option_outcome outcome = send_list(conn, option, exports);
    nbdkit_exports_free(exports);
    return outcome;
}

static enum option_outcome do_structured_reply(struct conn *conn, const struct option *option)
{
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
    if (option->length > 0)
        return option_reply_error(conn, option, NBD_REP_ERR_INVALID,
                                  "NBD_OPT_EXTENDED_HEADERS carries no data");
    conn->has_structured_replies = conn->has_extended_headers = true;
    return option_reply_ack(conn, option);
}

static enum option_outcome send_info_export(struct conn *conn, const struct option *option)
{
    struct {
        uint16_t type;
        uint64_t size;
        uint16_t flags;
    } __attribute__((__packed__)) info = {
        .type = htobe16(NBD_INFO_EXPORT),
        .size = htobe64(conn->export.size_bytes),
        .flags = htobe16(export_get_flags(conn)),
    };

    return option_reply_data(conn, option, NBD_REP_INFO, (struct iovec){ &info, sizeof info });
}

static enum option_outcome send_info_text(struct conn *conn, const struct option *option,
                                          uint16_t type, const char *text)
{
    CLEANUP_FREE char *copy = strdup(text);

    if (!copy)
        return OPTION_FAILED;
    type = htobe16(type);
    return option_reply_parts(conn, option, NBD_REP_INFO, (struct iovec){ &type, sizeof type },
                              (struct iovec){ copy, strlen(copy) });
}

/* What the server enforces. Without a word from the plugin: any alignment. */
static enum option_outcome send_info_block_size(struct conn *conn, const struct option *option)
{
    const struct conn_export *export = &conn->export;
    bool is_said = export->block_minimum != 0;
    uint32_t preferred = is_said ? export->block_preferred : 4096;
    struct {
        uint16_t type;
        uint32_t minimum;
        uint32_t preferred;
        uint32_t maximum;
    } __attribute__((__packed__)) info = {
        .type = htobe16(NBD_INFO_BLOCK_SIZE),
        .minimum = htobe32(is_said ? export->block_minimum : 1),
        .preferred = htobe32(preferred < export->payload_max ? preferred : export->payload_max),
        .maximum = htobe32(export->payload_max),
    };

    return option_reply_data(conn, option, NBD_REP_INFO, (struct iovec){ &info, sizeof info });
}

/* Information that the server has not got is left out: section "NBD_REP_INFO". */
static enum option_outcome send_requested_info(struct conn *conn, const struct option *option,
                                               uint16_t type)
{
    const char *description;

    switch (type) {
    case NBD_INFO_NAME:
        return send_info_text(conn, option, NBD_INFO_NAME, conn->export.name);
    case NBD_INFO_DESCRIPTION:
        description = export_get_description(conn);
        if (!description)
            return OPTION_NEXT;
        return send_info_text(conn, option, NBD_INFO_DESCRIPTION, description);
    default: /* NBD_INFO_BLOCK_SIZE; NBD_INFO_EXPORT is always sent */
        return send_info_block_size(conn, option);
    }
}

static enum option_outcome send_info(struct conn *conn, const struct option *option,
                                     struct option_reader requests)
{
    unsigned answered = 1U << NBD_INFO_EXPORT;
    uint16_t type;

    if (send_info_export(conn, option) == OPTION_FAILED)
        return OPTION_FAILED;
    while (option_read_number16(&requests, &type)) {
        if (type > NBD_INFO_BLOCK_SIZE || answered & 1U << type)
            continue; /* unknown, or asked for again */
        answered |= 1U << type;
        if (send_requested_info(conn, option, type) == OPTION_FAILED)
            return OPTION_FAILED;
    }
    if (option_reply_ack(conn, option) == OPTION_FAILED)
        return OPTION_FAILED;
    return option->number == NBD_OPT_GO ? OPTION_CHOSEN : OPTION_NEXT;
}

/* NBD_OPT_INFO and NBD_OPT_GO: name, number of requests, requests. */
static enum option_outcome do_info(struct conn *conn, const struct option *option)
{
    struct option_reader reader = { option->data, option->length };
    CLEANUP_FREE char *name = option_read_string(&reader);
    uint16_t requests;

    if (!name || !option_read_number16(&reader, &requests) || reader.left != 2U * requests)
        return option_reply_error(conn, option, NBD_REP_ERR_INVALID,
                                  "the data is not an export name and a list of requests");
    if (strlen(name) > WIRE_STRING_MAX)
        return option_reply_error(conn, option, NBD_REP_ERR_TOO_BIG,
                                  "the export name is longer than 4096 bytes");
    if (!exports_is_valid_string(name))
        return option_reply_error(conn, option, NBD_REP_ERR_INVALID,
                                  "the export name is not UTF-8");
    if (export_open(conn, name) < 0)
        return reply_no_export(conn, option, "the export cannot be opened");
    return send_info(conn, option, reader);
}

static enum option_outcome reply_meta_context(struct conn *conn, const struct option *option)
{
    static char name[] = "base:allocation";
    /* In a list, the ID is reserved. */
    uint32_t id = htobe32(option->number == NBD_OPT_SET_META_CONTEXT ? WIRE_CONTEXT_ID : 0);

    return option_reply_parts(conn, option, NBD_REP_META_CONTEXT, (struct iovec){ &id, sizeof id },
                              (struct iovec){ name, sizeof name - 1 });
}

/* Reads the queries. Returns -1 if they are malformed, else whether base:allocation is meant. */
static int match_queries(struct option_reader *reader, bool is_list)
{
    uint32_t queries;
    int is_matched = 0;

    if (!option_read_number32(reader, &queries))
        return -1;
    if (queries == 0)
        is_matched = is_list;
    for (uint32_t i = 0; i < queries; i++) {
        CLEANUP_FREE char *query = option_read_string(reader);
        if (!query || !strchr(query, ':'))
            return -1;
        if (strcmp(query, "base:allocation") == 0 || (is_list && strcmp(query, "base:") == 0))
            is_matched = 1;
    }
    return reader->left > 0 ? -1 : is_matched;
}

static void select_meta_context(struct conn *conn, char *name)
{
    free(conn->meta_export);
    conn->meta_export = name;
}

/* NBD_OPT_LIST_META_CONTEXT and NBD_OPT_SET_META_CONTEXT: name, queries. */
static enum option_outcome do_meta_context(struct conn *conn, const struct option *option)
{
    bool is_list = option->number == NBD_OPT_LIST_META_CONTEXT;
    struct option_reader reader = { option->data, option->length };

    if (!is_list)
        select_meta_context(conn, NULL);
    if (!conn->has_structured_replies)
        return option_reply_error(conn, option, NBD_REP_ERR_INVALID,
                                  "structured replies must be negotiated first");
    CLEANUP_FREE char *name = option_read_string(&reader);
    int match = name ? match_queries(&reader, is_list) : -1;
    if (match < 0)
        return option_reply_error(conn, option, NBD_REP_ERR_INVALID,
                                  "the data is not an export name and a list of queries");
    if (!exports_is_valid_string(name))
        return option_reply_error(conn, option, NBD_REP_ERR_INVALID,
                                  "the export name is not UTF-8 of at most 4096 bytes");
    if (match > 0 && reply_meta_context(conn, option) == OPTION_FAILED)
        return OPTION_FAILED;
    if (match > 0 && !is_list) {
        select_meta_context(conn, name);
        name = NULL;
    }
    return option_reply_ack(conn, option);
}

static enum option_outcome (*const option_functions[])(struct conn *, const struct option *) = {
    [NBD_OPT_EXPORT_NAME] = do_export_name,
    [NBD_OPT_ABORT] = do_abort,
    [NBD_OPT_LIST] = do_list,
    [NBD_OPT_INFO] = do_info,
    [NBD_OPT_GO] = do_info,
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
    if (option->number < OPTION_COUNT && option_functions[option->number])
        return option_functions[option->number](conn, option);
    return option_reply_error(conn, option, NBD_REP_ERR_UNSUP,
                              "this server does not know the option");
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
        .handshake_flags = htobe16(NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES),
    };
    struct iovec vector = { &greeting, sizeof greeting };

    if (conn_send(conn, &vector, 1) < 0)
        return -1;
    int got = transport_recv(conn->transport, client_flags, sizeof *client_flags);
    if (got <= 0)
        return got;
    *client_flags = be32toh(*client_flags);
    if (*client_flags & ~(uint32_t)(NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES)) {
        log_error("the client sent unknown flags 0x%" PRIx32 ", closing the connection",
                  *client_flags);
        return -1;
    }
    return 1;
}

int handshake_run(struct conn *conn)
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
