// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns the loaded plugin. Start-up and unloading happen in the main thread;
 * plugin_enter() and plugin_leave() are every serving thread's. Calls conn,
 * api (the thread's last error), the plugin and log.
 */
#include "plugin.h"

#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "api_log.h"
#include "cleanup.h"
#include "conn.h"
#include "crash.h"
#include "debug_flags.h"
#include "log.h"
#include "noexec.h"
#define NBDKIT_API_VERSION 2
#include "nbdkit-plugin.h"
#include "policy.h"
#include "transport.h"

/* Everything about the one plugin; written at start-up, constant while serving. */
static struct {
    void *library;
    char *path;
    struct nbdkit_plugin table;
    int api_version;
    unsigned long struct_size;
    int thread_model;
    bool is_loaded;  /* load was called */
    bool is_started; /* after_fork was called */
} plugin;

static pthread_mutex_t all_requests_lock = PTHREAD_MUTEX_INITIALIZER;

static const char *const thread_model_names[] = {
    [NBDKIT_THREAD_MODEL_SERIALIZE_CONNECTIONS] = "serialize_connections",
    [NBDKIT_THREAD_MODEL_SERIALIZE_ALL_REQUESTS] = "serialize_all_requests",
    [NBDKIT_THREAD_MODEL_SERIALIZE_REQUESTS] = "serialize_requests",
    [NBDKIT_THREAD_MODEL_PARALLEL] = "parallel",
};
_Static_assert(sizeof thread_model_names / sizeof thread_model_names[0] == 4, "a name for each");

/* Version 1 has no flags: the server never sends FUA, and MAY_TRIM has its own argument. */
static int pread_v1(void *handle, void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
    (void)flags;
    return plugin.table._pread_v1(handle, buf, count, offset);
}

static int pwrite_v1(void *handle, const void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
    (void)flags;
    return plugin.table._pwrite_v1(handle, buf, count, offset);
}

static int flush_v1(void *handle, uint32_t flags)
{
    (void)flags;
    return plugin.table._flush_v1(handle);
}

static int trim_v1(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    (void)flags;
    return plugin.table._trim_v1(handle, count, offset);
}

static int zero_v1(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    return plugin.table._zero_v1(handle, count, offset, (flags & NBDKIT_FLAG_MAY_TRIM) != 0);
}

static void adapt_version_1(struct nbdkit_plugin *table)
{
    table->pread = table->_pread_v1 ? pread_v1 : NULL;
    table->pwrite = table->_pwrite_v1 ? pwrite_v1 : NULL;
    table->flush = table->_flush_v1 ? flush_v1 : NULL;
    table->trim = table->_trim_v1 ? trim_v1 : NULL;
    table->zero = table->_zero_v1 ? zero_v1 : NULL;
    /* What a version 1 plugin says about flags it cannot be given. */
    table->can_fua = NULL;
    table->can_fast_zero = NULL;
}

static int refuse(const char *why)
{
    log_error("cannot load plugin %s: %s", plugin.path, why);
    return -1;
}

static bool is_valid_name(const char *name)
{
    if (*name == '\0' || *name == '-')
        return false;
    for (; *name; name++)
        if (!isalnum((unsigned char)*name) && *name != '-')
            return false;
    return true;
}

static int check_table(const struct nbdkit_plugin *table)
{
    if (!table->name || !is_valid_name(table->name))
        return refuse(".name must be letters, digits and dashes, and not begin with a dash");
    if (!table->open)
        return refuse("it has no .open callback");
    if (!table->get_size)
        return refuse("it has no .get_size callback");
    if (!table->pread)
        return refuse("it has no .pread callback");
    if (table->_thread_model < 0 || table->_thread_model > NBDKIT_THREAD_MODEL_PARALLEL)
        return refuse("its THREAD_MODEL is unknown; it may need a newer server");
    return 0;
}

/*
 * An older plugin has fewer members, a newer one more: take those that both know, and NULL for
 * others. The first release of nbdkit had `zero` neither, nor what follows it.
 */
static int copy_table(const struct nbdkit_plugin *theirs)
{
    size_t size = theirs->_struct_size;

    if (theirs->_api_version < 1 || theirs->_api_version > NBDKIT_API_VERSION)
        return refuse("it needs another API version; this server knows 1 and 2");
    if (size < offsetof(struct nbdkit_plugin, _pread_v1))
        return refuse("its struct nbdkit_plugin is too small; was it registered with "
                      "NBDKIT_REGISTER_PLUGIN?");
    plugin.api_version = theirs->_api_version;
    plugin.struct_size = size;
    memcpy(&plugin.table, theirs, size < sizeof plugin.table ? size : sizeof plugin.table);
    if (plugin.api_version == 1)
        adapt_version_1(&plugin.table);
    return check_table(&plugin.table);
}

int plugin_load(const char *path)
{
    struct nbdkit_plugin *(*init)(void);

    plugin.path = realpath(path, NULL);
    if (!plugin.path) {
        log_error("cannot open plugin %s: %m", path);
        return -1;
    }
    /* Global, because modules that an interpreter loads look for it in the plugin's libraries. */
    plugin.library = dlopen(plugin.path, RTLD_NOW | RTLD_GLOBAL);
    if (!plugin.library) {
        log_error("cannot load plugin: %s%s", dlerror(),
                  noexec_holds(plugin.path) ? "; it is on a file system that is mounted noexec"
                                            : "");
        return -1;
    }
    *(void **)&init = dlsym(plugin.library, "plugin_init");
    if (!init)
        return refuse("it is a shared object, but not a plugin: it has no plugin_init "
                      "(NBDKIT_REGISTER_PLUGIN defines it)");
    const struct nbdkit_plugin *theirs = init();
    if (!theirs)
        return refuse("its plugin_init failed");
    if (copy_table(theirs) < 0)
        return -1;
    DEBUG_LOG(DEBUG_CONTROLPATH, "loaded plugin %s from %s", plugin.table.name, plugin.path);
    plugin.thread_model = plugin.table._thread_model;
    debug_flags_set_in(plugin.table.name, plugin.library);
    plugin.is_loaded = true;
    if (plugin.table.load)
        CRASH_NOTE("load"), plugin.table.load();
    CRASH_NOTE(NULL);
    return 0;
}

const char *plugin_get_path(void)
{
    return plugin.path;
}

const char *plugin_get_name(void)
{
    return plugin.table.name;
}

const struct nbdkit_plugin *plugin_get_table(void)
{
    return &plugin.table;
}

int plugin_get_api_version(void)
{
    return plugin.api_version;
}

unsigned long plugin_get_struct_size(void)
{
    return plugin.struct_size;
}

/* The length of the key in "KEY=VALUE", 0 if `parameter` is a bare value. */
static size_t key_length(const char *parameter)
{
    size_t length = 0;

    if (!isalpha((unsigned char)parameter[0]))
        return 0;
    while (isalnum((unsigned char)parameter[length]) ||
           (parameter[length] && strchr("._-", parameter[length])))
        length++;
    return parameter[length] == '=' ? length : 0;
}

int plugin_configure_key(const char *key, const char *value)
{
    if (!plugin.table.config) {
        log_error("%s: this plugin takes no parameters, but got %s=%s", plugin.table.name, key,
                  value);
        return -1;
    }
    DEBUG_LOG(DEBUG_CONTROLPATH, "config %s=%s", key, value);
    /* Not a literal: what is lent to a plugin may be changed in place. */
    key = nbdkit_strdup_intern(key);
    CRASH_NOTE("config");
    int result = key ? plugin.table.config(key, value) : -1;
    CRASH_NOTE(NULL);
    return result < 0 ? -1 : 0;
}

int plugin_configure(const char *parameter, bool is_first)
{
    size_t length = key_length(parameter);

    if (length > 0) {
        CLEANUP_FREE char *key = strndup(parameter, length);
        return key ? plugin_configure_key(key, parameter + length + 1) : -1;
    }
    if (plugin.table.magic_config_key)
        return plugin_configure_key(plugin.table.magic_config_key, parameter);
    if (is_first)
        return plugin_configure_key("script", parameter);
    log_error("%s: expected KEY=VALUE, got '%s'", plugin.table.name, parameter);
    return -1;
}

/* A callback that fails should have said why; where it did not, say which one it was. */
static int run_step(int (*step)(void), const char *name)
{
    CRASH_NOTE(name);
    int result = step ? step() : 0;
    CRASH_NOTE(NULL);
    if (result >= 0)
        return 0;
    log_debug("%s: %s failed", plugin.table.name, name);
    return -1;
}

int plugin_complete_config(void)
{
    return run_step(plugin.table.config_complete, "config_complete");
}

int plugin_settle_thread_model(void)
{
    if (!plugin.table.thread_model)
        return 0;
    CRASH_NOTE("thread_model");
    int model = plugin.table.thread_model();
    CRASH_NOTE(NULL);
    if (model < 0)
        return -1;
    if (model < plugin.thread_model)
        plugin.thread_model = model;
    return 0;
}

int plugin_get_ready(void)
{
    return run_step(plugin.table.get_ready, "get_ready");
}

int plugin_start(void)
{
    plugin.is_started = true;
    return run_step(plugin.table.after_fork, "after_fork");
}

int plugin_get_thread_model(void)
{
    return plugin.thread_model;
}

const char *plugin_get_thread_model_name(int model)
{
    return thread_model_names[model];
}

void plugin_unload(void)
{
    if (plugin.is_started && plugin.table.cleanup)
        CRASH_NOTE("cleanup"), plugin.table.cleanup();
    if (plugin.is_loaded && plugin.table.unload)
        CRASH_NOTE("unload"), plugin.table.unload();
    CRASH_NOTE(NULL);
    if (plugin.library)
        dlclose(plugin.library);
    free(plugin.path);
    memset(&plugin, 0, sizeof plugin);
}

int plugin_preconnect(struct conn *conn)
{
    int result = 0;

    plugin_enter(conn);
    if (plugin.table.preconnect && conn_get_state(conn) < CONN_CLOSING)
        result = PLUGIN_CALL(preconnect)(conn->policy->is_readonly);
    plugin_leave(conn);
    return result < 0 ? -1 : 0;
}

static pthread_mutex_t *get_model_lock(struct conn *conn)
{
    switch (plugin.thread_model) {
    case NBDKIT_THREAD_MODEL_SERIALIZE_ALL_REQUESTS:
        return &all_requests_lock;
    case NBDKIT_THREAD_MODEL_SERIALIZE_REQUESTS:
        return &conn->request_lock;
    default: /* parallel; or one connection, and that with one thread, at a time */
        return NULL;
    }
}

void plugin_enter(struct conn *conn)
{
    pthread_mutex_t *lock = get_model_lock(conn);

    transport_pause_deadline(conn->transport);
    if (lock)
        pthread_mutex_lock(lock);
    api_set_error(0);
    api_log_clear_text();
    errno = 0;
}

void plugin_leave(struct conn *conn)
{
    pthread_mutex_t *lock = get_model_lock(conn);

    CRASH_NOTE(NULL);
    if (lock)
        pthread_mutex_unlock(lock);
    transport_resume_deadline(conn->transport);
}

void plugin_hint_at_silence(void)
{
    static atomic_flag is_given = ATOMIC_FLAG_INIT;

    if (*api_log_get_text() == '\0' && !atomic_flag_test_and_set(&is_given))
        log_warning("plugin %s: %s failed without a message: call nbdkit_error() before it returns",
                    plugin_get_name(), crash_callback);
}

static void hint_at_result(int result)
{
    static atomic_flag is_given = ATOMIC_FLAG_INIT;

    if (!atomic_flag_test_and_set(&is_given))
        log_warning("plugin %s: %s returned %d, which counts as success: return 0, or -1 for an "
                    "error",
                    plugin_get_name(), crash_callback, result);
}

int plugin_read_result(int result)
{
    if (result == 0)
        return 0;
    if (result > 0) {
        hint_at_result(result);
        return 0;
    }
    int error = plugin_take_error();
    /* By these two, a plugin asks for another way. */
    if (error != ENOTSUP && error != EOPNOTSUPP)
        plugin_hint_at_silence();
    return error;
}

int plugin_take_error(void)
{
    int preserved = plugin.table.errno_is_preserved ? errno : 0;
    int set = api_get_error();

    api_set_error(0);
    errno = 0;
    return set ? set : preserved ? preserved : EIO;
}
