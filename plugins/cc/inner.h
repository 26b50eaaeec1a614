/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The plugin that was compiled, loaded into the server.
 */
#ifndef INNER_H
#define INNER_H

#include <stdbool.h>

struct nbdkit_plugin;

/*
 * Loads the shared object at `path`, checks it as the server would, and calls
 * its `load`. `source` is what messages call it. The file may be removed
 * afterwards. Returns 0, or -1 after nbdkit_error.
 */
int inner_load(const char *path, const char *source);

bool inner_is_loaded(void);

/* Its table; members that it was compiled without are NULL. Only while it is loaded. */
const struct nbdkit_plugin *inner_get_table(void);

/* Passes a parameter on; key is NULL for a bare value, is_first for the first. Returns 0 or -1. */
int inner_configure(const char *key, const char *value, bool is_first);

/* The stricter one of its two thread models, or -1 if it fails to say. */
int inner_get_thread_model(void);

/* Calls its `unload`, if it is loaded, and unloads it. */
void inner_unload(void);

#endif
