// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns lists of extents. Entered by the thread that serves a block status
 * request.
 */
#include "extents.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>

#define NBDKIT_API_VERSION 2
#include "nbdkit-plugin.h"

struct nbdkit_extents {
    struct extents_range range;
    uint64_t next; /* where the extent to come must begin, once there is one */
    bool has_any;
    struct extent *array;
    size_t count;
    size_t capacity;
    size_t count_max;
};

struct nbdkit_extents *extents_new(struct extents_range range, size_t count_max)
{
    struct nbdkit_extents *extents = calloc(1, sizeof *extents);

    if (extents) {
        extents->range = range;
        extents->count_max = count_max;
    }
    return extents;
}

/* Behind the last extent that was kept. */
static uint64_t get_covered(const struct nbdkit_extents *extents)
{
    if (extents->count == 0)
        return extents->range.start;
    const struct extent *last = &extents->array[extents->count - 1];
    return last->offset + last->length;
}

uint64_t extents_continue(struct nbdkit_extents *extents)
{
    extents->range.start = get_covered(extents);
    extents->has_any = false;
    return extents->range.start;
}

void nbdkit_extents_free(struct nbdkit_extents *extents)
{
    if (extents)
        free(extents->array);
    free(extents);
}

const struct extent *extents_get(const struct nbdkit_extents *extents, size_t *count)
{
    *count = extents->count;
    return extents->array;
}

struct nbdkit_extents *nbdkit_extents_new(uint64_t start, uint64_t end)
{
    struct nbdkit_extents *extents = NULL;

    if (start > end || end > INT64_MAX) {
        nbdkit_error("nbdkit_extents_new: from %" PRIu64 " to %" PRIu64 " is no range of a disk",
                     start, end);
        errno = ERANGE;
    } else {
        extents = extents_new((struct extents_range){ start, end, end }, EXTENTS_MAX);
        if (!extents)
            nbdkit_error("nbdkit_extents_new: %m");
    }
    return extents;
}

size_t nbdkit_extents_count(const struct nbdkit_extents *extents)
{
    return extents->count;
}

struct nbdkit_extent nbdkit_get_extent(const struct nbdkit_extents *extents, size_t i)
{
    if (i >= extents->count) {
        nbdkit_error("nbdkit_get_extent: there is no extent %zu, as there are %zu", i,
                     extents->count);
        return (struct nbdkit_extent){ 0 };
    }
    const struct extent *extent = &extents->array[i];
    return (struct nbdkit_extent){ extent->offset, extent->length, extent->type };
}

static int append(struct nbdkit_extents *extents, const struct extent *extent)
{
    struct extent *last = extents->count ? &extents->array[extents->count - 1] : NULL;

    if (last && last->type == extent->type) {
        last->length += extent->length;
        return 0;
    }
    if (extents->count == extents->capacity) {
        size_t capacity = extents->capacity ? 2 * extents->capacity : 16;
        struct extent *array = reallocarray(extents->array, capacity, sizeof *array);
        if (!array) {
            nbdkit_error("nbdkit_add_extent: %m");
            return -1;
        }
        extents->array = array;
        extents->capacity = capacity;
    }
    extents->array[extents->count++] = *extent;
    return 0;
}

/* What all extents of the block that ends at `end` have in common; moves *extent behind them. */
static uint32_t merge_block(const struct extent **extent, const struct extent *last, uint64_t end)
{
    uint32_t type = NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO;

    while (*extent < last && (*extent)->offset < end) {
        type &= (*extent)->type;
        if ((*extent)->offset + (*extent)->length > end)
            return type;
        ++*extent;
    }
    bool is_whole = extent[0][-1].offset + extent[0][-1].length == end;
    return is_whole ? type : 0;
}

int extents_align(struct nbdkit_extents *extents, uint32_t block, uint64_t size)
{
    struct nbdkit_extents aligned = *extents;
    const struct extent *extent = extents->array, *last = extent + extents->count;
    uint64_t at = extents->count ? extent->offset : size;

    aligned.array = NULL;
    aligned.count = aligned.capacity = 0;
    while (extent < last && at < extents->range.end) {
        uint64_t covered = extent->offset + extent->length;
        uint64_t end = covered == size ? size : covered - covered % block;
        uint32_t type = extent->type;
        if (end <= at) {
            end = size - at < block ? size : at + block;
            type = merge_block(&extent, last, end);
        } else if (end == covered)
            extent++;
        if (append(&aligned, &(struct extent){ at, end - at, type }) < 0) {
            free(aligned.array);
            return -1;
        }
        at = end;
    }
    free(extents->array);
    *extents = aligned;
    return 0;
}

static int check_position(const struct nbdkit_extents *extents, uint64_t offset, uint64_t length)
{
    if (extents->has_any && offset != extents->next)
        nbdkit_error("nbdkit_add_extent: extents must be ascending and without gaps: expected "
                     "offset %" PRIu64 ", got %" PRIu64,
                     extents->next, offset);
    else if (!extents->has_any && offset > extents->range.start)
        nbdkit_error("nbdkit_add_extent: the first extent begins at %" PRIu64 ", after the offset "
                     "%" PRIu64 " that was asked for",
                     offset, extents->range.start);
    else if (length > UINT64_MAX - offset)
        nbdkit_error("nbdkit_add_extent: offset %" PRIu64 " plus length %" PRIu64 " overflows",
                     offset, length);
    else
        return 0;
    errno = EINVAL;
    return -1;
}

static bool is_full(const struct nbdkit_extents *extents)
{
    return extents->count == extents->count_max;
}

int nbdkit_add_extent(struct nbdkit_extents *extents, uint64_t offset, uint64_t length,
                      uint32_t type)
{
    if (length == 0)
        return 0;
    if (check_position(extents, offset, length) < 0)
        return -1;
    /* base:allocation has two flags; "Servers SHOULD set" the rest "to all-zero". */
    type &= NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO;
    extents->has_any = true;
    extents->next = offset + length;

    const struct extents_range *range = &extents->range;
    uint64_t begin = offset > range->start ? offset : range->start;
    uint64_t end = extents->next < range->limit ? extents->next : range->limit;
    bool is_longer = extents->count && extents->array[extents->count - 1].type == type;
    if (begin >= end || (!is_longer && (begin >= range->end || is_full(extents))))
        return 0;
    /* Once one was dropped for the bound, what follows would leave a gap. */
    if (begin != get_covered(extents))
        return 0;
    return append(extents, &(struct extent){ begin, end - begin, type });
}
