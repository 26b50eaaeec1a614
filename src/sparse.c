// SPDX-License-Identifier: BSD-3-Clause
/* Pure functions; any thread; calls nothing of ours. */
#include "sparse.h"

#include "extents.h"
#define NBDKIT_API_VERSION 2
#include "nbdkit-plugin.h"

struct range {
    uint64_t begin;
    uint64_t end;
};

/* The next run of extents that read as zeroes, from number *i on; *i moves behind it. */
static struct range next_zeroes(const struct extent *extents, size_t count, size_t *i)
{
    struct range range = { 0, 0 };

    while (*i < count && !(extents[*i].type & NBDKIT_EXTENT_ZERO))
        ++*i;
    if (*i < count)
        range.begin = extents[*i].offset;
    for (; *i < count && extents[*i].type & NBDKIT_EXTENT_ZERO; ++*i)
        range.end = extents[*i].offset + extents[*i].length;
    return range;
}

/* The part of `zeroes` that can be a hole of [start..end-1]; empty where it is too short. */
static struct range fit_hole(struct range zeroes, uint64_t start, uint64_t end, uint32_t unit)
{
    struct range hole = {
        zeroes.begin <= start ? start : (zeroes.begin + unit - 1) / unit * unit,
        zeroes.end >= end ? end : zeroes.end / unit * unit,
    };

    if (hole.end < hole.begin || hole.end - hole.begin < SPARSE_HOLE_MIN_BYTES)
        hole.end = hole.begin;
    return hole;
}

static size_t add_piece(struct sparse_piece *pieces, size_t count, struct range range, bool is_hole)
{
    if (range.begin == range.end)
        return count;
    pieces[count] = (struct sparse_piece){
        range.begin,
        (uint32_t)(range.end - range.begin),
        is_hole,
    };
    return count + 1;
}

size_t sparse_split(uint64_t start, uint64_t end, uint32_t unit, const struct extent *extents,
                    size_t count, struct sparse_piece pieces[static SPARSE_PIECES_MAX])
{
    size_t piece_count = 0;
    uint64_t at = start;

    /* Room for data, a hole, and the data behind it. */
    for (size_t i = 0; i < count && piece_count + 3 <= SPARSE_PIECES_MAX;) {
        struct range hole = fit_hole(next_zeroes(extents, count, &i), start, end, unit);
        if (hole.begin == hole.end)
            continue;
        piece_count = add_piece(pieces, piece_count, (struct range){ at, hole.begin }, false);
        piece_count = add_piece(pieces, piece_count, hole, true);
        at = hole.end;
    }
    return add_piece(pieces, piece_count, (struct range){ at, end }, false);
}
