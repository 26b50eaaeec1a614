/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Strings of the NBD protocol (proto.md, "Conventions"), which are UTF-8, and what of any text may
 * be shown on a terminal: not what is not UTF-8, and no character that acts without being seen,
 * such as a control character (C0, DEL, C1) or one that changes the direction of writing. Pure.
 */
#ifndef UTF8_H
#define UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Is `text` valid UTF-8 of at most `length_max` bytes? */
bool utf8_is_valid(const char *text, size_t length_max);

/*
 * Copies `text` into `out` of `size` bytes as something that any terminal can
 * show: valid UTF-8 on one line, cut between characters where it does not fit,
 * with '?' in place of what is not UTF-8, blanks in place of characters that are not shown,
 * and none at its end. Returns its length.
 */
size_t utf8_clean(char *out, size_t size, const char *text);

/* Puts, in place, '?' for each byte or character that may not be shown, but for \n and \t. */
void utf8_neutralise(char *text);

/* The length in bytes of the character that `text` begins with, 0 if it may not be shown. */
size_t utf8_get_shown_length(const char *text);

#endif
