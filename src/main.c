// SPDX-License-Identifier: BSD-3-Clause
/*
 * Start-up order, and nothing else. Entered by the main thread.
 */
#include <stdlib.h>
#include <sys/stat.h>

#include "activation.h"
#include "api.h"
#include "background.h"
#include "cleanup.h"
#include "crash.h"
#include "debug_flags.h"
#include "descriptor.h"
#include "endpoint.h"
#include "facts.h"
#include "listen.h"
#include "log.h"
#define NBDKIT_API_VERSION 2
#include "nbdkit-plugin.h"
#include "memlock.h"
#include "notify.h"
#include "options.h"
#include "pidfile.h"
#include "plugin.h"
#include "privileges.h"
#include "quit.h"
#include "run.h"
#include "server.h"
#include "setup.h"
#include "signals.h"

static const struct listen_sockets *listening; /* NULL: nothing yet */

static void clear_away(void)
{
    if (listening)
        listen_clear_away(listening);
    pidfile_clear_away();
    run_clear_away();
}

/* Starts the --run command, if there is one. Returns 0 or -1. */
static int run_command(const struct options *options, struct server_config *config)
{
    if (!options->run_command || quit_is_stopping())
        return 0;
    config->command_fd = run_start(options, config->sockets);
    return config->command_fd < 0 ? -1 : 0;
}

/* With -u or -g: makes what takes root's rights, then gives them up for good. */
static int leave_root(const struct options *options, const struct server_config *config,
                      const char *pid_file)
{
    uid_t uid = privileges_get_uid();
    gid_t gid = privileges_get_gid();

    if (!privileges_are_chosen())
        return 0;
    if (pid_file && pidfile_write(pid_file) < 0)
        return -1;
    if (options->run_command && run_keep(options, config->sockets) < 0)
        return -1;
    pidfile_give(uid, gid);
    listen_give(config->sockets, uid, gid);
    if (privileges_drop() < 0)
        return -1;
    return options->exits_with_parent ? background_watch_parent() : 0;
}

/* What is left until clients are let in. */
static int get_ready(const struct options *options, const struct server_config *config,
                     const char *pid_file)
{
    if (options->locks_memory && memlock_all(!options->user) < 0)
        return -1;
    if (leave_root(options, config, pid_file) < 0)
        return -1;
    if (options->run_command && run_keep_stdio() < 0)
        return -1;
    background_leave_stdio();
    if (plugin_start() < 0)
        return -1;
    crash_handle_again();
    if (pid_file && !privileges_are_chosen() && pidfile_write(pid_file) < 0)
        return -1;
    notify_ready();
    background_ready();
    if (!options->is_single && !options->run_command)
        privileges_warn_of_root();
    return 0;
}

/* Everything from here on runs in the process that will serve. */
static int start_serving(const struct options *options, struct server_config *config)
{
    CLEANUP_FREE char *pid_file =
        options->pid_file ? nbdkit_absolute_path(options->pid_file) : NULL;
    int result = -1;

    if (options->pid_file && !pid_file)
        return -1;
    if (!options->is_foreground && background_enter() < 0)
        return -1;
    crash_handle_again();
    listening = config->sockets;
    signals_keep();
    if (get_ready(options, config, pid_file) == 0)
        result = run_command(options, config) < 0 ? -1 : server_run(config);
    listening = NULL;
    listen_close(config->sockets);
    pidfile_remove();
    return result;
}

static int serve(const struct options *options, struct server_config *config)
{
    if (log_open(options->log) < 0 || privileges_choose(options->user, options->group) < 0)
        return -1;
    if (options->is_single) {
        api_set_stdio_used(true);
        if (background_take_stdio(&config->single_in_fd, &config->single_out_fd) < 0)
            return -1;
    }
    if (setup_load(options) < 0 || setup_configure(options) < 0 || setup_complete() < 0 ||
        plugin_settle_thread_model() < 0 || plugin_get_ready() < 0)
        return -1;
    if (endpoint_open(options, config->sockets) < 0)
        return -1;
    return start_serving(options, config);
}

static int run_action(struct options *options)
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
        return facts_print(options);
    int result = -1;
    notify_init();
    if (activation_take(&sockets, options) == 0 && setup_tls(options) == 0)
        result = serve(options, &config);
    listen_close(&sockets);
    setup_forget_tls(options);
    return result < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    static struct options options;

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
    if (options.name)
        log_set_name(options.name);
    debug_flags_use(options.debug_flags);
    api_set_name(options.name);
    signals_install();
    crash_handle(clear_away);
    if (options.exits_with_parent && background_watch_parent() < 0)
        return EXIT_FAILURE;
    /* The command of --run gets what its caller has opened for it. */
    if (!options.run_command)
        descriptor_keep_inherited();
    int status = run_action(&options);
    plugin_unload();
    api_free_strings();
    int command_status = run_wait();
    log_finish();
    return status == EXIT_SUCCESS ? command_status : status;
}
