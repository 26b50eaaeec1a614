/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The list that a plugin's `list_exports` callback fills in with
 * nbdkit_add_export() and nbdkit_use_default_export(), defined here too.
 */
#ifndef EXPORTS_H
#define EXPORTS_H

#include <stdbool.h>
#include <stddef.h>

struct nbdkit_exports;

struct export_entry {
    char *name;
    char *description; /* or NULL */
};

/* More than this many exports are an error. */
enum { EXPORTS_MAX = 10000 };

/* The entries, in the order in which they were added; the array belongs to the list. */
const struct export_entry *exports_get(const struct nbdkit_exports *exports, size_t *count);

/* Did the plugin ask for the default export's name to be listed? */
bool exports_wants_default(const struct nbdkit_exports *exports);

/* Is `text` valid UTF-8 of at most 4096 bytes (proto.md, "Conventions")? */
bool exports_is_valid_string(const char *text);

#endif
