// SPDX-License-Identifier: BSD-3-Clause
/*
 * Loads and configures the plugin and TLS. Owns nothing. Entered by the main
 * thread; calls locate, argfile, plugin and tls_credentials.
 */
#include "setup.h"

#include <stdbool.h>
#include <stdlib.h>

#include "argfile.h"
#include "locate.h"
#include "options.h"
#include "plugin.h"
#include "tls_credentials.h"

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

static bool is_first;

static int use_parameter(const char *parameter)
{
    bool was_first = is_first;

    is_first = false;
    return plugin_configure(parameter, was_first);
}

int setup_configure(const struct options *options)
{
    is_first = true;
    for (char **parameter = options->parameters; *parameter; parameter++) {
        int used = **parameter == '@' ? argfile_read(*parameter + 1, use_parameter)
                                      : use_parameter(*parameter);
        if (used < 0)
            return -1;
    }
    return 0;
}

int setup_tls(struct options *options)
{
    struct tls_sources sources = {
        .certificates = options->tls_certificates,
        .psk = options->tls_psk,
        .priority = options->tls_priority,
        .verifies_peer = options->verifies_tls_peer,
    };

    return tls_credentials_settle(&options->policy, &sources);
}

void setup_forget_tls(struct options *options)
{
    tls_credentials_free(options->policy.tls_credentials);
    options->policy.tls_credentials = NULL;
}
