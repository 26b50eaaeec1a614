/* SPDX-License-Identifier: BSD-3-Clause */
/* Splitting a read into data and holes, by what is known of its range. Pure. */
#ifndef SPARSE_H
#define SPARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct extent;

struct sparse_piece {
    uint64_t offset;
    uint32_t length;
    bool is_hole; /* it reads as zeroes */
};

/* A read is split into this many pieces at most. */
enum { SPARSE_PIECES_MAX = 65 };

/* Shorter holes are read like data. */
enum { SPARSE_HOLE_MIN_BYTES = 32 * 1024 };

/*
 * Splits [start..end-1], no more than 2^32-1 bytes, into pieces that begin and
 * end at multiples of `unit`, a power of two, but for its own ends. Only what
 * `extents`, ascending and without gaps from `start` on, say to read as zeroes
 * becomes a hole; they may end before `end`. Returns the number of pieces.
 */
size_t sparse_split(uint64_t start, uint64_t end, uint32_t unit, const struct extent *extents,
                    size_t count, struct sparse_piece pieces[static SPARSE_PIECES_MAX]);

#endif
