// SPDX-License-Identifier: BSD-3-Clause
/*
 * Start-up order, and nothing else. Entered by the main thread.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api.h"
#include "background.h"
#include "cleanup.h"
#include "debug_flags.h"
#include "dump.h"
#include "help.h"
#include "listen.h"
#include "locate.h"
#include "log.h"
#define NBDKIT_API_VERSION 2
#include "nbdkit-plugin.h"
#include "network.h"
#include "options.h"
#include "plugin.h"
#include "quit.h"
#include "run.h"
#include "server.h"
#include "signals.h"
#include "uri.h"

/* A parent that ends before the request is in place would go unnoticed. */
static int watch_parent(void)
{
    pid_t parent = getppid();

    if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0) {
        log_error("--exit-with-parent: %m");
        return -1;
    }
    if (getppid() != parent)
        quit_request();
    return 0;
}

static int load_plugin(const struct options *options)
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

static int configure_plugin(const struct options *options)
{
    for (char **parameter = options->parameters; *parameter; parameter++)
        if (plugin_configure(*parameter, parameter == options->parameters) < 0)
            return -1;
    return 0;
}

static void print_version(const struct options *options)
{
    printf("%s %s (plugin API of nbdkit %s)\n", log_get_program(), NBDLAB_VERSION,
           NBDKIT_VERSION_STRING);
    if (options->plugin) {
        const char *version = plugin_get_table()->version;
        printf("%s%s%s\n", plugin_get_name(), version ? " " : "", version ? version : "");
    }
}

/* The actions that only print. Returns an exit status. */
static int print_facts(const struct options *options)
{
    if (options->action == ACTION_DUMP_CONFIG) {
        dump_config();
        return EXIT_SUCCESS;
    }
    if (options->action == ACTION_SHORT_OPTIONS || options->action == ACTION_LONG_OPTIONS) {
        options->action == ACTION_SHORT_OPTIONS ? options_print_short() : options_print_long();
        return EXIT_SUCCESS;
    }
    if (options->plugin && load_plugin(options) < 0)
        return EXIT_FAILURE;
    if (options->action == ACTION_HELP) {
        help_print();
        if (options->plugin)
            dump_plugin_help(stdout);
    } else if (options->action == ACTION_VERSION) {
        print_version(options);
    } else {
        if (configure_plugin(options) < 0 || plugin_settle_thread_model() < 0)
            return EXIT_FAILURE;
        dump_plugin();
    }
    return EXIT_SUCCESS;
}

/* Tells whoever started the server where it listens, as far as that was asked for. */
static int announce(const struct options *options, const struct listen_sockets *sockets)
{
    if (options->prints_uri)
        return uri_print(sockets, options);
    if (!sockets->unix_path && options->port == 0 && !options->run_command) {
        printf("%u\n", sockets->port);
        fflush(stdout);
    }
    return 0;
}

static int make_sockets(const struct options *options, struct listen_sockets *sockets)
{
    int family = options->is_ipv4_only ? AF_INET : options->is_ipv6_only ? AF_INET6 : AF_UNSPEC;

    if (options->unix_path)
        return listen_on_unix(sockets, options->unix_path);
    if (options->is_vsock)
        return network_listen_on_vsock(sockets, options->port);
    return network_listen_on_tcp(sockets, options->address, (uint16_t)options->port, family);
}

static int listen_for_clients(const struct options *options, struct listen_sockets *sockets)
{
    if (options->is_single)
        return 0;
    return make_sockets(options, sockets) < 0 ? -1 : announce(options, sockets);
}

/* Starts the --run command, if there is one. Returns 0 or -1. */
static int run_command(const struct options *options, struct server_config *config)
{
    if (!options->run_command || quit_is_stopping())
        return 0;
    config->command_fd = run_start(options, config->sockets);
    return config->command_fd < 0 ? -1 : 0;
}

/* Everything from here on runs in the process that will serve. */
static int start_serving(const struct options *options, struct server_config *config)
{
    CLEANUP_FREE char *pid_file =
        options->pid_file ? nbdkit_absolute_path(options->pid_file) : NULL;

    if (options->pid_file && !pid_file)
        return -1;
    if (!options->is_foreground && background_enter() < 0)
        return -1;
    signals_keep();
    if (plugin_start() < 0 || (pid_file && background_write_pid_file(pid_file) < 0))
        return -1;
    background_ready();
    int result = run_command(options, config) < 0 ? -1 : server_run(config);
    /* Out of descriptors, there is none to read the pid file with until these are closed. */
    listen_close(config->sockets);
    if (pid_file)
        background_remove_pid_file(pid_file);
    return result;
}

static int serve(const struct options *options, struct server_config *config)
{
    if (listen_refuse_activation() < 0)
        return -1;
    if (options->is_single) {
        api_set_stdio_used(true);
        if (background_take_stdio(&config->single_in_fd, &config->single_out_fd) < 0)
            return -1;
    }
    if (load_plugin(options) < 0 || configure_plugin(options) < 0 || plugin_complete_config() < 0 ||
        plugin_settle_thread_model() < 0 || plugin_get_ready() < 0)
        return -1;
    if (listen_for_clients(options, config->sockets) < 0)
        return -1;
    return start_serving(options, config);
}

static int run_action(const struct options *options)
{
    struct listen_sockets sockets = { .count = 0 };
    struct server_config config = {
        .sockets = &sockets,
        .policy = &options->policy,
        .single_in_fd = -1,
        .single_out_fd = -1,
        .command_fd = -1,
    };

    if (options->action != ACTION_SERVE)
        return print_facts(options);
    int result = serve(options, &config);
    listen_close(&sockets);
    return result < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    struct options options;

    background_open_stdio();
    log_init(argv[0]);
    umask(0022);
    if (quit_init() < 0) {
        log_error("eventfd: %m");
        return EXIT_FAILURE;
    }
    if (options_parse(argc, argv, &options) < 0)
        return EXIT_FAILURE;
    log_set_verbose(options.is_verbose);
    debug_flags_use(options.debug_flags);
    api_set_name(options.name);
    signals_install();
    if (options.exits_with_parent && watch_parent() < 0)
        return EXIT_FAILURE;
    int status = run_action(&options);
    plugin_unload();
    api_free_strings();
    int command_status = run_wait();
    return status == EXIT_SUCCESS ? command_status : status;
}
