// SPDX-License-Identifier: BSD-3-Clause
/*
 * Loads and configures the plugin. Owns nothing. Entered by the main thread;
 * calls locate and plugin.
 */
#include "setup.h"

#include <stdlib.h>

#include "locate.h"
#include "options.h"
#include "plugin.h"

int setup_load(const struct options *options)
{
    struct locate_result found;

    if (locate_plugin(options->plugin, &found) < 0)
        return -1;
    int loaded = plugin_load(found.path);
    free(found.path);
    if (loaded < 0)
        return -1;
    return found.is_script ? plugin_configure_key("script", options->plugin) : 0;
}

int setup_configure(const struct options *options)
{
    for (char **parameter = options->parameters; *parameter; parameter++)
        if (plugin_configure(*parameter, parameter == options->parameters) < 0)
            return -1;
    return 0;
}
