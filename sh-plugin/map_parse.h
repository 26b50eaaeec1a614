/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads what the method map prints: a table, one line a range,
 *
 *   OFFSET LENGTH TARGET [ARGUMENT...]
 *
 * as nbdlab-sh-plugin(3) describes it. Pure: nothing is allocated or logged,
 * the text is only cut into lines; any thread may call it.
 */
#ifndef MAP_PARSE_H
#define MAP_PARSE_H

#include <linux/limits.h> /* beside limits.h of ours, that of libc is hard to reach */
#include <stdint.h>

#include "parse.h"
#include "status.h"

enum map_kind {
    MAP_FILE,
    MAP_ZERO,
    MAP_ERROR, /* disconnect and shutdown, too: errors with an effect */
    MAP_SCRIPT,
};

struct map_range {
    uint64_t offset; /* bytes */
    uint64_t length; /* bytes, at least 1; offset + length is within the disk */
    enum map_kind kind;
    int64_t delay_ns;     /* to wait before each access */
    uint64_t file_offset; /* MAP_FILE: of the range's first byte; with length below INT64_MAX */
    int error;            /* MAP_ERROR: an errno value */
    enum status_effect effect; /* MAP_ERROR */
};

#define MAP_PARSE_PROBLEM_MAX 512

/* Where reading stands. Begin with {.lines.next = text, .disk_bytes = size}. */
struct map_parse {
    struct parse_lines lines; /* the current one is as it was printed */
    uint64_t disk_bytes;
    uint64_t reached; /* the end of the range before */

    char path[PATH_MAX];                 /* of a MAP_FILE, until the next step */
    char problem[MAP_PARSE_PROBLEM_MAX]; /* after an error: what is wrong and what is right */
};

/*
 * Steps to the next range, past blank lines and comments. Returns 1 and fills
 * range, 0 at the end, or -1 with the problem in the current line.
 */
int map_parse_next(struct map_parse *parse, struct map_range *range);

#endif
