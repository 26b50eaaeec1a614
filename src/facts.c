// SPDX-License-Identifier: BSD-3-Clause
/*
 * Chooses what to print. Owns nothing. Entered by the main thread; calls setup,
 * dump, help and options.
 */
#include "facts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dump.h"
#include "help.h"
#include "log.h"
#define NBDKIT_API_VERSION 2
#include "nbdkit-plugin.h"
#include "options.h"
#include "plugin.h"
#include "setup.h"

static void print_version(const struct options *options)
{
    /* Scripts that run nbdkit take the first number for its version. */
    if (strcmp(log_get_program(), "nbdkit") == 0)
        printf("nbdkit %s (nbdlab %s)\n", NBDKIT_VERSION_STRING, NBDLAB_VERSION);
    else
        printf("%s %s (plugin API of nbdkit %s)\n", log_get_program(), NBDLAB_VERSION,
               NBDKIT_VERSION_STRING);
    if (options->plugin) {
        const char *version = plugin_get_table()->version;
        printf("%s%s%s\n", plugin_get_name(), version ? " " : "", version ? version : "");
    }
}

static void print_help(const struct options *options)
{
    help_print();
    if (options->plugin)
        dump_plugin_help(stdout);
}

static int print_plugin(const struct options *options)
{
    if (setup_configure(options) < 0 || plugin_settle_thread_model() < 0)
        return EXIT_FAILURE;
    dump_plugin();
    return EXIT_SUCCESS;
}

int facts_print(const struct options *options)
{
    bool wants_plugin = options->action == ACTION_HELP || options->action == ACTION_VERSION ||
                        options->action == ACTION_DUMP_PLUGIN;

    if (wants_plugin && options->plugin && setup_load(options) < 0)
        return EXIT_FAILURE;
    switch (options->action) {
    case ACTION_HELP:
        print_help(options);
        break;
    case ACTION_VERSION:
        print_version(options);
        break;
    case ACTION_DUMP_CONFIG:
        dump_config();
        break;
    case ACTION_SHORT_OPTIONS:
        options_print_short();
        break;
    case ACTION_LONG_OPTIONS:
        options_print_long();
        break;
    default:
        return print_plugin(options);
    }
    return EXIT_SUCCESS;
}
