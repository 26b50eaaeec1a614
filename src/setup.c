// SPDX-License-Identifier: BSD-3-Clause
/*
 * Loads and configures the plugin and TLS. Owns nothing. Entered by the main
 * thread; calls locate, plugin and tls_credentials.
 */
#include "setup.h"

#include <stdlib.h>

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

int setup_configure(const struct options *options)
{
    for (char **parameter = options->parameters; *parameter; parameter++)
        if (plugin_configure(*parameter, parameter == options->parameters) < 0)
            return -1;
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
