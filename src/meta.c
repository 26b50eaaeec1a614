// SPDX-License-Identifier: BSD-3-Clause
/*
 * Lists and selects metadata contexts. Entered by the session's thread; calls
 * option and conn.
 */
#include "meta.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "conn.h"
#include "exports.h"
#include "wire.h"

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

void meta_forget(struct conn *conn)
{
    select_meta_context(conn, NULL);
}

/* NBD_OPT_LIST_META_CONTEXT and NBD_OPT_SET_META_CONTEXT: name, queries. */
enum option_outcome meta_select(struct conn *conn, const struct option *option)
{
    bool is_list = option->number == NBD_OPT_LIST_META_CONTEXT;
    struct option_reader reader = { option->data, option->length };

    if (!is_list)
        meta_forget(conn);
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
