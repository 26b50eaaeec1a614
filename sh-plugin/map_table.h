/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table that a script's method map has printed, with its files open.
 * Immutable once it is there, so that any thread may look things up.
 */
#ifndef MAP_TABLE_H
#define MAP_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "call.h"
#include "fileio.h"
#include "map_parse.h"

/* A file that some ranges of the map name, opened once for all of them. */
struct map_file {
    struct fileio io;
    bool can_find_extents;
    struct map_file *next;
};

struct map_entry {
    struct map_range range;
    struct map_file *file; /* of MAP_FILE */
    size_t line;           /* of the script's output, for messages */
};

struct map {
    struct map_entry *entries; /* ascending; what lies between them is the script's */
    size_t count;
    size_t capacity;
    struct map_file *files; /* a list */
    bool has_zeroes;        /* are there ranges of MAP_ZERO? */
};

/*
 * Reads what the call of the method printed for a disk of so many bytes, and
 * opens the files. Writes over the text. Returns the map, for map_free; or NULL after the
 * error was logged and nbdkit_set_error called.
 */
struct map *map_build(const struct call *call, uint64_t disk_bytes, bool is_readonly);

/* Closes the files. NULL is allowed. */
void map_free(struct map *map);

/* Index of the first entry that ends behind the offset; count if there is none. */
size_t map_find(const struct map *map, uint64_t offset);

#endif
