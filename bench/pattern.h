/* SPDX-License-Identifier: BSD-3-Clause */
/* The data that is written where it can be checked later; pure. */
#ifndef PATTERN_H
#define PATTERN_H

#include <stddef.h>
#include <stdint.h>

/*
 * What stands at a byte of the disk follows from its offset and from how often
 * its block has been written, so that misplaced, old and torn data show.
 */
void pattern_fill(void *data, size_t bytes, uint64_t offset, uint32_t version);

/* Returns the index of the first byte of `data` that is not as pattern_fill() makes it, or
 * `bytes`. Any offset and length may be asked for. */
size_t pattern_find_fault(const void *data, size_t bytes, uint64_t offset, uint32_t version);

#endif
