/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Parsers of user input, pure: no messages, no locale. Each returns NULL on
 * success and otherwise what is wrong with `text`, a constant string to be
 * put after the text; `*value` is then unchanged.
 */
#ifndef PARSE_H
#define PARSE_H

#include <stdbool.h>
#include <stdint.h>

/* A size in bytes, 0 to 2^63-1: digits and one of b k m g t p e (powers of 1024), s (512). */
const char *parse_size(const char *text, int64_t *bytes);

/* on, off, true, false, yes, no, t, f, y, n, 1 or 0, in any case of letters. */
const char *parse_bool(const char *text, bool *value);

/* A decimal, 0x or 0-prefixed octal number from `minimum` to `maximum`. */
const char *parse_signed(const char *text, int64_t minimum, int64_t maximum, int64_t *value);
const char *parse_unsigned(const char *text, uint64_t maximum, uint64_t *value);

/* A finite number of at least 0: 0.25, 25%, 1:4, 1/4 or 25e-2. */
const char *parse_probability(const char *text, double *value);

/* A time of at least 0, in s, ms, us (with a Greek mu too) or ns; without a unit in seconds. */
const char *parse_delay(const char *text, unsigned *sec, unsigned *nsec);

#endif
