/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads what scripts print. Everything here is pure: no memory is allocated,
 * nothing is logged, and any thread may call it. Functions that take a
 * `char *` write NULs over the line ends of the text.
 */
#ifndef PARSE_H
#define PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Reads a size such as "512", "10M" or "8s" (units of 512 bytes), with white
 * space around it allowed. Returns NULL and stores bytes, or returns what is
 * wrong as the end of a sentence ("is not a size"). nbdkit_parse_size reads the
 * same, but logs a line of its own that could not name the script.
 */
const char *parse_read_size(const char *text, int64_t *size);

/* Like parse_read_size, for exactly three sizes below 4G, separated by white space. */
const char *parse_read_block_sizes(char *text, uint32_t sizes[3]);

/*
 * Reads a time as nbdkit_parse_delay does ("2.5", "1s", "100ms", "20us", "7ns"),
 * up to 4294967295 s; a number alone is in the default unit. Returns 0, or -1.
 */
int parse_read_time(const char *text, int64_t default_unit_ns, int64_t *time_ns);

/*
 * Finds the text, less white space at its end and in any case of letters, in
 * words (ended by NULL). Returns its index, or -1.
 */
int parse_find_word(const char *text, const char *const *words);

/*
 * The errno named by the first word of the text, in any case of letters, which
 * white space or the end must follow. If the text begins with a line of
 * `set -x` (a '+' in front), the first line that begins with an errno word
 * counts. Returns 0 if there is none. The text needs no NUL at its end.
 */
int parse_find_errno(const char *text, size_t length);

/* Where an iteration over lines stands. Begin with {.next = text}. */
struct parse_lines {
    char *next;    /* the rest of the text */
    char *line;    /* the current line, NUL-terminated */
    size_t number; /* of the current line, from 1 */
};

/* Steps to the next line. Returns false at the end of the text. */
bool parse_next_line(struct parse_lines *lines);

struct parse_extent {
    uint64_t offset; /* bytes */
    uint64_t length; /* bytes; offset + length is at most INT64_MAX */
    uint32_t type;   /* bits of NBDKIT_EXTENT_* */
};

/*
 * Steps to the next line of "offset length [type]", past blank lines and #
 * comments. type is a number or the words hole and zero joined by a comma; what
 * follows it is ignored. Returns 1 and fills extent, 0 at the end, or -1 if the
 * current line is malformed.
 */
int parse_next_extent(struct parse_lines *lines, struct parse_extent *extent);

/* Where an iteration over exports stands; parse_begin_exports fills it. */
struct parse_exports {
    struct parse_lines names;
    struct parse_lines descriptions; /* only if they follow all names */
    size_t remaining;                /* names not yet returned */
    bool is_interleaved;
};

/* Begins to read the output of list_exports, whose first line may name its form. */
void parse_begin_exports(struct parse_exports *exports, char *text);

/* Steps to the next export; description is NULL if it has none. False at the end. */
bool parse_next_export(struct parse_exports *exports, const char **name, const char **description);

#endif
