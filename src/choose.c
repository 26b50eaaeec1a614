// SPDX-License-Identifier: BSD-3-Clause
/*
 * Tells clients of exports and opens the one that is chosen. Entered by the
 * session's thread; calls export, option and conn.
 */
#include "choose.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "conn.h"
#include "export.h"
#include "exports.h"
#include "log.h"
#define NBDKIT_API_VERSION 2
#include "nbdkit-plugin.h"
#include "quit.h"
#include "wire.h"

/* What the plugin's errno means, where the protocol has more than one word for it. */
static uint32_t to_option_error(int error)
{
    switch (error) {
    case EPERM:
    case EACCES:
    case EROFS:
        return NBD_REP_ERR_POLICY;
    case ESHUTDOWN:
        return NBD_REP_ERR_SHUTDOWN;
    default:
        return NBD_REP_ERR_UNKNOWN;
    }
}

/* The plugin has no export for the client, or the server has none any more. */
static enum option_outcome reply_no_export(struct conn *conn, const struct option *option,
                                           const struct export_refusal *refusal, const char *text)
{
    if (*refusal->text)
        text = refusal->text;
    else if (quit_is_stopping())
        text = "the server is shutting down";
    return option_reply_error(
        conn, option, quit_is_stopping() ? NBD_REP_ERR_SHUTDOWN : to_option_error(refusal->error),
        text);
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
    struct export_refusal refusal;
    size_t count;

    if (export_list(conn, exports, &refusal) < 0)
        return reply_no_export(conn, option, &refusal, "the exports cannot be listed");
    const struct export_entry *entries = exports_get(exports, &count);
    for (size_t i = 0; i < count; i++)
        if (reply_server(conn, option, &entries[i]) == OPTION_FAILED)
            return OPTION_FAILED;
    return option_reply_ack(conn, option);
}

enum option_outcome choose_list(struct conn *conn, const struct option *option)
{
    if (option->length > 0)
        return option_reply_error(conn, option, NBD_REP_ERR_INVALID,
                                  "NBD_OPT_LIST carries no data");
    struct nbdkit_exports *exports = nbdkit_exports_new();
    if (!exports)
        return OPTION_FAILED;
    enum option_outcome outcome = send_list(conn, option, exports);
    nbdkit_exports_free(exports);
    return outcome;
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

enum option_outcome choose_by_name(struct conn *conn, const struct option *option)
{
    struct export_refusal refusal;

    if (strlen(option->data) != option->length || !exports_is_valid_string(option->data)) {
        log_error("the client sent an export name that is not a string of at most 4096 bytes");
        return OPTION_FAILED;
    }
    if (conn->has_extended_headers) {
        log_error("the client sent NBD_OPT_EXPORT_NAME after NBD_OPT_EXTENDED_HEADERS, which "
                  "go with NBD_OPT_GO, closing the connection");
        return OPTION_FAILED;
    }
    /* This option cannot be refused but by closing: "NBD_OPT_EXPORT_NAME". */
    if (export_open(conn, option->data, &refusal) < 0)
        return OPTION_FAILED;
    return send_export(conn, option->has_no_zeroes);
}

enum option_outcome choose_oldstyle(struct conn *conn)
{
    struct export_refusal refusal;

    if (export_open(conn, "", &refusal) < 0)
        return OPTION_FAILED;
    struct {
        uint64_t init_passwd;
        uint64_t magic;
        uint64_t size;
        uint32_t flags;
        char zeroes[124];
    } __attribute__((__packed__)) greeting = {
        .init_passwd = htobe64(WIRE_INIT_PASSWD),
        .magic = htobe64(WIRE_OLDSTYLE_MAGIC),
        .size = htobe64(conn->export.size_bytes),
        .flags = htobe32(export_get_flags(conn)),
    };
    struct iovec vector = { &greeting, sizeof greeting };

    return conn_send(conn, &vector, 1) < 0 ? OPTION_FAILED : OPTION_CHOSEN;
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

/* What the plugin takes. Without a word from it: any alignment. */
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
        .preferred = htobe32(preferred < export->call_max ? preferred : export->call_max),
        .maximum = htobe32(export->call_max),
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
enum option_outcome choose_by_info(struct conn *conn, const struct option *option)
{
    struct option_reader reader = { option->data, option->length };
    CLEANUP_FREE char *name = option_read_string(&reader);
    struct export_refusal refusal;
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
    if (export_open(conn, name, &refusal) < 0)
        return reply_no_export(conn, option, &refusal, "the export cannot be opened");
    return send_info(conn, option, reader);
}
