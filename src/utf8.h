/* SPDX-License-Identifier: BSD-3-Clause */
/* Strings of the NBD protocol (proto.md, "Conventions"), which are UTF-8. Pure. */
#ifndef UTF8_H
#define UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Is `text` valid UTF-8 of at most `length_max` bytes? */
bool utf8_is_valid(const char *text, size_t length_max);

/*
 * Copies `text` into `out` of `size` bytes as something that any terminal can
 * show: valid UTF-8 on one line, cut between characters where it does not fit,
 * with '?' in place of what is not UTF-8, blanks in place of control characters,
 * and none at its end. Returns its length.
 */
size_t utf8_clean(char *out, size_t size, const char *text);

#endif
