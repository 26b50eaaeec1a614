/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns the compiled plugin. The thread that configures the server loads and
 * unloads it; while the server serves, every thread reads the table, which is
 * constant then. Calls the compiled plugin and nbdkit_error.
 */
#include <ctype.h>
#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "inner.h"
#include "noexec.h"

static void *library;
static bool is_loaded; /* load was called */
static struct nbdkit_plugin table;

static int refuse(const char *source, const char *why)
{
    nbdkit_error("%s: %s", source, why);
    return -1;
}

static bool is_valid_name(const char *name)
{
    if (!name || *name == '\0' || *name == '-')
        return false;
    for (; *name; name++)
        if (!isalnum((unsigned char)*name) && *name != '-')
            return false;
    return true;
}

static const char *find_fault(void)
{
    if (!is_valid_name(table.name))
        return "its .name must be letters, digits and dashes, and not begin with a dash";
    if (!table.open)
        return "it has no .open callback";
    if (!table.get_size)
        return "it has no .get_size callback";
    if (!table.pread)
        return "it has no .pread callback";
    if (table._thread_model < 0 || table._thread_model > NBDKIT_THREAD_MODEL_PARALLEL)
        return "its THREAD_MODEL is unknown";
    return NULL;
}

/* As the server does it: take the members that both know, and NULL for others. */
static int copy_table(const struct nbdkit_plugin *theirs, const char *source)
{
    size_t size = theirs->_struct_size;

    if (theirs->_api_version == 1)
        return refuse(source, "it uses version 1 of the plugin API: say '#define "
                              "NBDKIT_API_VERSION 2' before '#include <nbdkit-plugin.h>'");
    if (theirs->_api_version != NBDKIT_API_VERSION)
        return refuse(source, "it needs another version of the plugin API than 2");
    if (size < offsetof(struct nbdkit_plugin, _pread_v1))
        return refuse(source, "its struct nbdkit_plugin is too small: was it registered with "
                              "NBDKIT_REGISTER_PLUGIN?");
    memset(&table, 0, sizeof table);
    memcpy(&table, theirs, size < sizeof table ? size : sizeof table);
    const char *fault = find_fault();
    return fault ? refuse(source, fault) : 0;
}

int inner_load(const char *path, const char *source)
{
    struct nbdkit_plugin *(*init)(void);

    /* As the server loads plugins. */
    library = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
    if (!library) {
        nbdkit_error("%s: cannot load what the compiler made of it: %s%s", source, dlerror(),
                     noexec_holds(path) ? "; TMPDIR is on a file system that is mounted noexec: "
                                          "set it to another folder"
                                        : "");
        return -1;
    }
    *(void **)&init = dlsym(library, "plugin_init");
    if (!init)
        return refuse(source, "it was compiled, but is no plugin: it has no plugin_init, which "
                              "NBDKIT_REGISTER_PLUGIN defines");
    const struct nbdkit_plugin *theirs = init();
    if (!theirs)
        return refuse(source, "its plugin_init failed");
    if (copy_table(theirs, source) < 0)
        return -1;
    nbdkit_debug("%s: loaded plugin %s", source, table.name);
    is_loaded = true;
    if (table.load)
        table.load();
    return 0;
}

bool inner_is_loaded(void)
{
    return is_loaded;
}

const struct nbdkit_plugin *inner_get_table(void)
{
    return &table;
}

int inner_configure(const char *key, const char *value, bool is_first)
{
    if (!key)
        key = table.magic_config_key ? table.magic_config_key : is_first ? "script" : NULL;
    if (!key) {
        nbdkit_error("%s: expected KEY=VALUE, got '%s'", table.name, value);
        return -1;
    }
    if (!table.config) {
        nbdkit_error("%s: this plugin takes no parameters, but got %s=%s", table.name, key, value);
        return -1;
    }
    return table.config(key, value) < 0 ? -1 : 0;
}

int inner_get_thread_model(void)
{
    int model = table.thread_model ? table.thread_model() : table._thread_model;

    return model < table._thread_model ? model : table._thread_model;
}

void inner_unload(void)
{
    if (is_loaded && table.unload)
        table.unload();
    is_loaded = false;
    if (library)
        dlclose(library);
    library = NULL;
}
