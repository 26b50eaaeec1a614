/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The list that a plugin's `extents` callback fills in with nbdkit_add_extent(),
 * which is defined here too, as are the functions for lists of a plugin's own.
 */
#ifndef EXTENTS_H
#define EXTENTS_H

#include <stddef.h>
#include <stdint.h>

struct nbdkit_extents;

struct extent {
    uint64_t offset;
    uint64_t length;
    uint32_t type; /* NBDKIT_EXTENT_* */
};

/*
 * More than this many different extents are dropped: a reply need not be
 * complete, and memory for so many is set aside for each block status.
 */
enum { EXTENTS_MAX = 1 << 16 };

/* What a list is about. */
struct extents_range {
    uint64_t start;
    uint64_t end;   /* an extent that begins here or later is left out */
    uint64_t limit; /* the last one is cut here: at `end` or later, and within the export */
};

/*
 * An empty list that keeps `count_max` extents at most. Returns NULL with errno;
 * nbdkit_extents_free() it.
 */
struct nbdkit_extents *extents_new(struct extents_range range, size_t count_max);

/* The plugin is asked again, about what follows. Returns where that begins. */
uint64_t extents_continue(struct nbdkit_extents *extents);

/*
 * Has every extent begin and end at a multiple of `block`, or at `size`, the
 * end of the export. A block that is of several types becomes what all its
 * parts are; what was not told of it counts as data. `range.start` must be such
 * a multiple. Returns 0 or -1 with errno.
 */
int extents_align(struct nbdkit_extents *extents, uint32_t block, uint64_t size);

/*
 * What was added, cut to the range, neighbours of one type merged. The array
 * belongs to the list; the first extent, if any, begins at start.
 */
const struct extent *extents_get(const struct nbdkit_extents *extents, size_t *count);

#endif
