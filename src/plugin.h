/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The loaded plugin: loading, API versions, configuration, life cycle and
 * thread model. Only plugin.c, export.c and io.c call into its table; nobody
 * else knows that there is exactly one layer.
 */
#ifndef PLUGIN_H
#define PLUGIN_H

#include <stdbool.h>

#include "crash.h"

struct conn;
struct nbdkit_plugin;

/* Loads the shared object at `path` and calls `load`. Returns 0, or -1 after logging. */
int plugin_load(const char *path);

/* The path given to plugin_load(), and what the plugin calls itself. */
const char *plugin_get_path(void);
const char *plugin_get_name(void);

/* The plugin's table in the layout of API version 2, whichever it was written for. */
const struct nbdkit_plugin *plugin_get_table(void);

/* The API version and struct size that the plugin was compiled with. */
int plugin_get_api_version(void);
unsigned long plugin_get_struct_size(void);

/*
 * Passes one command line parameter on, "KEY=VALUE" or a bare "VALUE";
 * is_first for the first of them. `parameter` must stay valid. Returns 0, or
 * -1 after logging.
 */
int plugin_configure(const char *parameter, bool is_first);

/* Passes a key and its value on. Both must stay valid. Returns 0, or -1 after logging. */
int plugin_configure_key(const char *key, const char *value);

/* The steps of start-up, in this order. Each returns 0, or -1 after logging. */
int plugin_complete_config(void);
int plugin_settle_thread_model(void);
int plugin_get_ready(void);
int plugin_start(void); /* after_fork */

/* The thread model that was settled, NBDKIT_THREAD_MODEL_*. */
int plugin_get_thread_model(void);
const char *plugin_get_thread_model_name(int model);

/* Calls `cleanup` if plugin_start() was reached; then `unload`, and unloads. */
void plugin_unload(void);

/* Before the first connection's callback: may the client come in? Returns 0 or -1. */
int plugin_preconnect(struct conn *conn);

/*
 * Between plugin_enter() and plugin_leave(): the errno that a callback's result
 * of 0 or -1 comes to. Hints, once each, at other results and at a failure without a message.
 */
int plugin_read_result(int result);

/* Likewise, after a callback that failed: hints, once, if it did so without a message. */
void plugin_hint_at_silence(void);

/* Calls a callback, between plugin_enter() and plugin_leave(): PLUGIN_CALL(pread)(handle, ...). */
#define PLUGIN_CALL(callback) (CRASH_NOTE(#callback), plugin_get_table()->callback)

/*
 * Brackets around every callback of a connection: take and give back the lock
 * that the thread model demands. plugin_enter() also forgets the last error and its text.
 */
void plugin_enter(struct conn *conn);
void plugin_leave(struct conn *conn);

/*
 * The errno of a data callback that failed: nbdkit_set_error()'s, else errno
 * where the plugin preserves it, else EIO. Call before anything else; it is then
 * forgotten.
 */
int plugin_take_error(void);

#endif
