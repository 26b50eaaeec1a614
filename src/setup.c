// SPDX-License-Identifier: BSD-3-Clause
/*
 * Loads and configures the plugin and TLS. Owns nothing. Entered by the main
 * thread; calls locate, argfile, log, plugin and tls_credentials.
 */
#include "setup.h"

#include <stdbool.h>
#include <string.h>

#include "api.h"
#include "argfile.h"
#include "debug_flags.h"
#include "locate.h"
#include "log.h"
#include "options.h"
#include "plugin.h"
#include "tls_credentials.h"

int setup_load(const struct options *options)
{
    struct locate_result found;

    if (locate_plugin(options->plugin, &found) < 0)
        return -1;
    const char *script = found.script ? api_intern(strdup(found.script)) : NULL;
    int result = found.script && !script ? -1 : plugin_load(found.path);
    if (result == 0 && script)
        result = plugin_configure_key("script", script);
    locate_free(&found);
    return result;
}

static bool is_first;
static const char *passed_word; /* the last one that begins with @ and is no file */

static int use_parameter(const char *parameter)
{
    bool was_first = is_first;

    is_first = false;
    return plugin_configure(parameter, was_first);
}

/* "@FILE" is a file where there is one; values of plugins may begin with @, too. */
static int use_word(const char *word)
{
    if (*word != '@')
        return use_parameter(word);
    if (argfile_exists(word + 1)) {
        DEBUG_LOG(DEBUG_CONTROLPATH, "%s: parameters from this file", word);
        return argfile_read(word + 1, use_parameter);
    }
    DEBUG_LOG(DEBUG_CONTROLPATH, "%s: a parameter for the plugin, not a file: %m", word);
    passed_word = word;
    return use_parameter(word);
}

/* The plugin refused its parameters: was one of them meant to be the name of a file? */
static int explain_refusal(void)
{
    if (passed_word && !argfile_exists(passed_word + 1))
        log_error("'%s' was passed to the plugin as it is: there is no file of parameters '%s': %m",
                  passed_word, passed_word + 1);
    return -1;
}

int setup_configure(const struct options *options)
{
    is_first = true;
    passed_word = NULL;
    for (char **parameter = options->parameters; *parameter; parameter++)
        if (use_word(*parameter) < 0)
            return explain_refusal();
    return 0;
}

int setup_complete(void)
{
    return plugin_complete_config() < 0 ? explain_refusal() : 0;
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
