/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Makes text of scripts and clients fit for a line of the log, which the server
 * frees of all that may not be shown on a terminal; control characters that are
 * common are spelled out here. Pure but for
 * malloc(3); any thread. The returned strings are the caller's to free; NULL
 * if there is no memory.
 */
#ifndef TEXT_H
#define TEXT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * What a script wrote to stderr, in one line: lines are joined by " | ",
 * control characters escaped, `set -x` lines left out unless there are no
 * others, and the middle left out if it is long.
 */
char *text_join_lines(const char *text, size_t length);

/* The words (ended by NULL) as a shell would take them, long ones cut. */
char *text_quote_words(const char *const *words);

/*
 * True if the text reads like a shell that gave up: a complaint with a line
 * number about syntax, an option, a variable or a file to include. Shells exit
 * with status 2 after it.
 */
bool text_is_shell_complaint(const char *text, size_t length);

/* The ending of a noun that is counted, in a message: "1 byte", "2 bytes". */
#define TEXT_PLURAL(count) ((count) == 1 ? "" : "s")

/* Is there a line that is not empty, and no trace of `set -x`? The text needs no NUL at its end. */
bool text_has_message(const char *text, size_t length);

#endif
