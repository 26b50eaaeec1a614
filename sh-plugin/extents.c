/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The script's method extents. Owns nothing; any thread of the server enters
 * it. Calls ask, parse, text and nbdkit_add_extent.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "ask.h"
#include "cleanup.h"
#include "connection.h"
#include "parse.h"
#include "script_io.h"
#include "text.h"

#define EXTENTS_MAX (1024 * 1024) /* more are ignored, as the server does */

/* Fails because of the current line. Returns -1. */
static int fail_at_line(const struct call *call, const struct parse_lines *lines,
                        const char *problem, uint64_t offset)
{
    CLEANUP_FREE char *shown = text_join_lines(lines->line, strlen(lines->line));

    return call_refuse(call, EIO, "line %zu, '%.200s', %s %" PRIu64, lines->number,
                       shown == NULL ? "" : shown, problem, offset);
}

/*
 * Adds the extents that the call printed. Returns for how many bytes from the
 * first on there are any, or -1.
 */
static int64_t add_extents(const struct call *call, struct script_stretch stretch,
                           struct nbdkit_extents *extents)
{
    uint64_t start = stretch.offset;
    struct parse_lines lines = { .next = buf_get_text(call->output) };
    struct parse_extent extent;
    uint64_t reached = start; /* where the next extent has to begin; the first may begin before */
    uint64_t told = start;
    bool is_first = true;
    size_t count = 0;
    int result;

    for (; (result = parse_next_extent(&lines, &extent)) > 0; is_first = false) {
        if (is_first && extent.offset > start)
            return fail_at_line(call, &lines, "begins beyond the request: begin at or before byte",
                                start);
        if (!is_first && extent.offset != reached)
            return fail_at_line(call, &lines, "does not follow the line before, which ends at byte",
                                reached);
        reached = extent.offset + extent.length;
        if (reached <= start || count++ >= EXTENTS_MAX)
            continue;
        uint64_t from = told;
        told = reached < stretch.limit ? reached : stretch.limit;
        if (nbdkit_add_extent(extents, from, told - from,
                              extent.type & (NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO)) < 0)
            return -1;
    }
    if (result < 0)
        return fail_at_line(call, &lines,
                            "is not 'OFFSET LENGTH [TYPE]', where TYPE is a number, hole, "
                            "zero or hole,zero; the request begins at byte",
                            start);
    if (reached <= start)
        return call_refuse(call, EIO,
                           "no line covers byte %" PRIu64 ", where the request begins: print "
                           "extents from there on",
                           start);
    return (int64_t)(told - start);
}

int64_t script_extents(const struct connection *connection, struct script_stretch stretch,
                       uint32_t flags, struct nbdkit_extents *extents)
{
    struct script_range range = script_format_range(stretch.count, stretch.offset);
    BUF_GROWING(output, ASK_LIST_MAX);
    BUF_GROWING(errors, CALL_ERRORS_MAX);
    struct call call = {
        .method = "extents",
        .arguments = CALL_ARGUMENTS(connection->handle, range.count, range.offset,
                                    flags & NBDKIT_FLAG_REQ_ONE ? "req_one" : ""),
        .output = &output,
        .errors = &errors,
        .missing_hint = CALL_PROMISED_BY("can_extents"),
    };
    if (ask_text(&call) != STATUS_OK)
        return -1;
    return add_extents(&call, stretch, extents);
}
