/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The cc plugin: compiles the source of a plugin, and is that plugin from then
 * on. Owns the parameters, set while the server is configured; they are read
 * when all of them are known. Calls room, compile, inner and forward.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "compile.h"
#include "forward.h"
#include "inner.h"
#include "input.h"
#include "room.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

static struct compile_command command;
static const char *source; /* a path, "-" for standard input; NULL until it is given */

/* What the compiled plugin is to get; key is NULL for a bare value. */
static struct parameter {
    const char *key;
    const char *value;
} * parameters;
static size_t parameter_count;

static void load(void)
{
    command = compile_defaults;
}

static int keep_parameter(const char *key, const char *value)
{
    struct parameter *more = reallocarray(parameters, parameter_count + 1, sizeof *more);

    if (!more) {
        nbdkit_error("no memory");
        return -1;
    }
    parameters = more;
    parameters[parameter_count++] = (struct parameter){ key, value };
    return 0;
}

/* Takes a parameter of the compiler's. Returns 1, 0 if it is none, or -1. */
static int set_command(const char *key, const char *value)
{
    static struct {
        const char *key;
        const char **target;
        bool is_given;
    } known[] = {
        { "CC", &command.compiler, false },
        { "CFLAGS", &command.flags, false },
        { "EXTRA_CFLAGS", &command.extra_flags, false },
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(key, known[i].key) != 0)
            continue;
        if (known[i].is_given) {
            nbdkit_error("%s is given twice: write all of it into one", key);
            return -1;
        }
        known[i].is_given = true;
        *known[i].target = value;
        return 1;
    }
    return 0;
}

static int config(const char *key, const char *value)
{
    int taken = set_command(key, value);

    if (taken != 0)
        return taken < 0 ? -1 : 0;
    if (strcmp(key, "script") != 0)
        return keep_parameter(key, value);
    if (source)
        return keep_parameter(NULL, value);
    source = value;
    return 0;
}

static int build(const struct room *room)
{
    bool is_inline = strcmp(source, "-") == 0;

    if (is_inline && input_save(room->source, "source", 0600) < 0)
        return -1;
    if (compile_run(&command, is_inline ? room->source : source, room) < 0)
        return -1;
    return inner_load(room->library, is_inline ? "inline source" : source);
}

/* Compiles, loads and configures the plugin. Once it is loaded, its file is of no use. */
static int set_up(void)
{
    struct room room;

    int result = room_begin(&room) < 0 ? -1 : build(&room);
    room_end(&room);
    for (size_t i = 0; result == 0 && i < parameter_count; i++)
        result = inner_configure(parameters[i].key, parameters[i].value, i == 0);
    return result;
}

static int config_complete(void)
{
    if (!source) {
        nbdkit_error("no source: give its path as the first parameter");
        return -1;
    }
    if (set_up() < 0)
        return -1;
    const struct nbdkit_plugin *inner = inner_get_table();
    return inner->config_complete ? inner->config_complete() : 0;
}

/* With --dump-plugin this comes without config_complete, and the source is optional. */
static int thread_model(void)
{
    if (source && !inner_is_loaded() && set_up() < 0)
        return -1;
    return inner_is_loaded() ? inner_get_thread_model() : THREAD_MODEL;
}

static void dump_plugin(void)
{
    printf("CC=%s\n", command.compiler);
    printf("CFLAGS=%s\n", command.flags);
    if (!inner_is_loaded())
        return;
    const struct nbdkit_plugin *inner = inner_get_table();
    printf("compiled_name=%s\n", inner->name);
    if (inner->dump_plugin)
        inner->dump_plugin();
}

static void unload(void)
{
    inner_unload();
    free(parameters);
    parameters = NULL;
    parameter_count = 0;
}

static struct nbdkit_plugin plugin = {
    .name = "cc",
    .longname = "nbdlab cc plugin",
    .version = NBDLAB_VERSION,
    .description = "a plugin that is compiled from its source when the server starts",
    .load = load,
    .unload = unload,
    .config = config,
    .config_complete = config_complete,
    .config_help = "script=FILE         (required) the source, or - for standard input\n"
                   "CC=COMMAND          the compiler\n"
                   "CFLAGS=FLAGS        its flags\n"
                   "EXTRA_CFLAGS=FLAGS  more flags\n"
                   "Other parameters are passed to the plugin that was compiled.",
    .magic_config_key = "script",
    .thread_model = thread_model,
    .dump_plugin = dump_plugin,
    FORWARD_MEMBERS,
};

NBDKIT_REGISTER_PLUGIN(plugin)
