// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns the server's debug flags and finds those of plugins. Entered by the
 * main thread at start-up, for reading by every thread; calls log and parse.
 */
#include "debug_flags.h"

#include <dlfcn.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "parse.h"

static struct {
    const char *name;
    int value;
} server_flags[] = {
    [DEBUG_CONTROLPATH] = { "backend_controlpath", 1 },
    [DEBUG_DATAPATH] = { "backend_datapath", 1 },
    [DEBUG_ENVIRON] = { "environ", 0 },
    [DEBUG_TLS_LOG] = { "tls_log", 0 },
    [DEBUG_TLS_SESSION] = { "tls_session", 0 },
};
enum { SERVER_FLAG_COUNT = sizeof server_flags / sizeof server_flags[0] };
_Static_assert(SERVER_FLAG_COUNT == DEBUG_TLS_SESSION + 1, "a name for each");

/* What -D gave, up to a NULL. */
static const char *const *all_flags = (const char *const[]){ NULL };

static const char server_name[] = "nbdkit";

/* Takes NAME.FLAG=N apart. Returns 0, or -1 where it is none. */
static int take_apart(const char *text, char **name, char **variable, int *value)
{
    const char *dot = strchr(text, '.');
    const char *equals = dot ? strchr(dot, '=') : NULL;
    int64_t number;

    if (!dot || dot == text || !equals || equals == dot + 1 ||
        parse_signed(equals + 1, INT_MIN, INT_MAX, &number))
        return -1;
    *name = strndup(text, (size_t)(dot - text));
    *variable = strndup(dot + 1, (size_t)(equals - dot - 1));
    *value = (int)number;
    for (char *c = *variable; c && *c; c++)
        if (*c == '.')
            *c = '_';
    return *name && *variable ? 0 : -1;
}

bool debug_flags_is_valid(const char *text)
{
    CLEANUP_FREE char *name = NULL;
    CLEANUP_FREE char *variable = NULL;
    char quoted[LOG_QUOTED_MAX];
    int value;

    if (take_apart(text, &name, &variable, &value) == 0)
        return true;
    log_error("-D/--debug: %s is not of the form NAME.FLAG=N, where NAME is the plugin's (or "
              "nbdkit for the server's own flags) and N a number",
              log_quote(quoted, text));
    return false;
}

static void set_in_server(const char *text, const char *variable, int value)
{
    for (int i = 0; i < SERVER_FLAG_COUNT; i++)
        if (strcmp(server_flags[i].name, variable) == 0) {
            server_flags[i].value = value;
            return;
        }
    log_warning("-D %s: the server has no such flag; nbdlab(1) lists those that it has", text);
}

static void log_environment(void)
{
    for (char **variable = environ; *variable; variable++)
        log_debug("environ: %s", *variable);
}

void debug_flags_use(const char *const *flags)
{
    all_flags = flags;
    for (; *flags; flags++) {
        CLEANUP_FREE char *name = NULL;
        CLEANUP_FREE char *variable = NULL;
        int value;
        if (take_apart(*flags, &name, &variable, &value) == 0 && strcmp(name, server_name) == 0)
            set_in_server(*flags, variable, value);
    }
    if (debug_flags_get(DEBUG_ENVIRON))
        log_environment();
}

static void set_in_plugin(void *library, const char *text, const char *symbol, int value)
{
    int *variable = dlsym(library, symbol);

    if (variable)
        *variable = value;
    else
        log_warning("-D %s: the plugin has no such flag; it would be a global variable int %s",
                    text, symbol);
}

void debug_flags_set_in(const char *plugin_name, void *library)
{
    for (const char *const *flag = all_flags; *flag; flag++) {
        CLEANUP_FREE char *name = NULL;
        CLEANUP_FREE char *variable = NULL;
        CLEANUP_FREE char *symbol = NULL;
        int value;
        if (take_apart(*flag, &name, &variable, &value) < 0 || strcmp(name, server_name) == 0)
            continue;
        if (strcmp(name, plugin_name) != 0)
            log_warning("-D %s: the plugin's name is %s, so this flag has no effect", *flag,
                        plugin_name);
        else if (asprintf(&symbol, "%s_debug_%s", name, variable) >= 0)
            set_in_plugin(library, *flag, symbol, value);
    }
}

int debug_flags_get(enum debug_flag flag)
{
    return server_flags[flag].value;
}
