// SPDX-License-Identifier: BSD-3-Clause
/*
 * Reads the command line. Entered by the main thread at start-up; calls log,
 * exports and the API's parsers.
 */
#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exports.h"
#include "log.h"
#define NBDKIT_API_VERSION 2
#include "nbdkit-plugin.h"

enum { THREADS_DEFAULT = 16, THREADS_MAX = 1024 };

enum { PORT_DEFAULT = 10809 }; /* IANA's for NBD */

/* Long options without a letter. NOT_YET is every option of nbdkit's that is not there yet. */
enum long_option {
    OPTION_HELP = 256,
    OPTION_DUMP_CONFIG,
    OPTION_DUMP_PLUGIN,
    OPTION_EXIT_WITH_PARENT,
    OPTION_RUN,
    OPTION_NOT_YET
};

static const char short_options[] = ":46D:e:fg:i:noP:p:rst:U:u:vV";

#define NOT_YET(name, argument)                                                                    \
    {                                                                                              \
        name, argument, NULL, OPTION_NOT_YET                                                       \
    }

static const struct option long_options[] = {
    { "dump-config", no_argument, NULL, OPTION_DUMP_CONFIG },
    { "dump-plugin", no_argument, NULL, OPTION_DUMP_PLUGIN },
    { "exit-with-parent", no_argument, NULL, OPTION_EXIT_WITH_PARENT },
    { "export", required_argument, NULL, 'e' },
    { "export-name", required_argument, NULL, 'e' },
    { "exportname", required_argument, NULL, 'e' },
    { "foreground", no_argument, NULL, 'f' },
    { "help", no_argument, NULL, OPTION_HELP },
    { "ip-addr", required_argument, NULL, 'i' },
    { "ipaddr", required_argument, NULL, 'i' },
    { "new-style", no_argument, NULL, 'n' },
    { "newstyle", no_argument, NULL, 'n' },
    { "no-fork", no_argument, NULL, 'f' },
    { "pid-file", required_argument, NULL, 'P' },
    { "pidfile", required_argument, NULL, 'P' },
    { "port", required_argument, NULL, 'p' },
    { "read-only", no_argument, NULL, 'r' },
    { "readonly", no_argument, NULL, 'r' },
    { "run", required_argument, NULL, OPTION_RUN },
    { "single", no_argument, NULL, 's' },
    { "stdin", no_argument, NULL, 's' },
    { "threads", required_argument, NULL, 't' },
    { "unix", required_argument, NULL, 'U' },
    { "verbose", no_argument, NULL, 'v' },
    { "version", no_argument, NULL, 'V' },
    NOT_YET("debug", required_argument),
    NOT_YET("filter", required_argument),
    NOT_YET("group", required_argument),
    NOT_YET("ipv4-only", no_argument),
    NOT_YET("ipv6-only", no_argument),
    NOT_YET("keep-alive", no_argument),
    NOT_YET("keepalive", no_argument),
    NOT_YET("log", required_argument),
    NOT_YET("long-options", no_argument),
    NOT_YET("mask-handshake", required_argument),
    NOT_YET("name", required_argument),
    NOT_YET("no-mc", no_argument),
    NOT_YET("no-meta-contexts", no_argument),
    NOT_YET("no-sr", no_argument),
    NOT_YET("no-structured-replies", no_argument),
    NOT_YET("old-style", no_argument),
    NOT_YET("oldstyle", no_argument),
    NOT_YET("print-uri", no_argument),
    NOT_YET("selinux-label", required_argument),
    NOT_YET("short-options", no_argument),
    NOT_YET("swap", no_argument),
    NOT_YET("timeout", required_argument),
    NOT_YET("tls", required_argument),
    NOT_YET("tls-certificates", required_argument),
    NOT_YET("tls-priority", required_argument),
    NOT_YET("tls-psk", required_argument),
    NOT_YET("tls-verify-peer", no_argument),
    NOT_YET("user", required_argument),
    NOT_YET("vsock", no_argument),
    { NULL, 0, NULL, 0 },
};

void options_print_help(void)
{
    const char *name = log_get_program();

    printf("%s serves disks to NBD clients; a disk is a shell script or a compiled plugin.\n"
           "\n"
           "usage: %s [OPTION...] PLUGIN [[KEY=]VALUE...]\n"
           "       %s [OPTION...] ./DISK.SH [[KEY=]VALUE...]\n"
           "\n"
           "where to listen (port 10809 of every interface without any of these)\n"
           "  -U, --unix SOCKET|-        a Unix domain socket; '-' makes a private one\n"
           "  -i, --ipaddr ADDRESS       this address only\n"
           "  -p, --port PORT            this TCP port; 0 picks a free one\n"
           "  -s, --single               serve one client on standard input and output\n"
           "how to serve\n"
           "  -e, --exportname NAME      the export in $uri for --run\n"
           "  -n, --newstyle             the newstyle NBD protocol (the default)\n"
           "  -r, --readonly             clients cannot write\n"
           "  -t, --threads N            requests in the plugin at once per client (16)\n"
           "how to run\n"
           "  -f, --foreground           do not go to the background\n"
           "  -P, --pidfile FILE         write the process ID there when clients can connect\n"
           "      --run COMMAND          run a shell command with $uri, then stop\n"
           "      --exit-with-parent     stop when the parent process ends\n"
           "  -v, --verbose              say what happens, a line for each call\n"
           "what there is\n"
           "      --help                 this text; with PLUGIN, its parameters too\n"
           "  -V, --version              the version\n"
           "      --dump-config          how the program was built, as KEY=VALUE lines\n"
           "      --dump-plugin          what PLUGIN can do, as KEY=VALUE lines\n"
           "\n"
           "The manual is nbdlab(1); nbdlab-sh-plugin(3) tells how to write a disk.\n",
           name, name, name);
}

static int refuse_not_yet(const char *dashes, const char *name)
{
    log_error("option %s%s is not supported yet", dashes, name);
    return -1;
}

static int parse_threads(const char *value, unsigned *threads)
{
    unsigned number;

    if (nbdkit_parse_unsigned("-t/--threads", value, &number) < 0)
        return -1;
    if (number < 1 || number > THREADS_MAX) {
        log_error("-t/--threads: %s is not a number from 1 to %d", value, THREADS_MAX);
        return -1;
    }
    *threads = number;
    return 0;
}

static int parse_export_name(const char *value, const char **name)
{
    if (!exports_is_valid_string(value)) {
        log_error("-e/--exportname: the name of an export is UTF-8 of at most 4096 bytes");
        return -1;
    }
    *name = value;
    return 0;
}

/* How many long options begin with the name in `written`, "--NAME" or "--NAME=VALUE"? */
static unsigned count_long_options(const char *written)
{
    const char *name = written + 2;
    unsigned count = 0;

    for (const struct option *option = long_options; option->name; option++)
        count += strncmp(option->name, name, strcspn(name, "=")) == 0;
    return count;
}

static int refuse_unknown(int found, char **argv)
{
    const char *written = argv[optind - 1];
    unsigned matches = strncmp(written, "--", 2) == 0 ? count_long_options(written) : 0;

    if (found == ':')
        log_error("option %s needs a value; try --help", written);
    else if (matches > 1)
        log_error("option %s could be one of %u options; try --help", written, matches);
    else if (matches == 1)
        log_error("option %s takes no value; try --help", written);
    else if (optopt && optopt < OPTION_HELP)
        log_error("there is no option -%c; try --help", optopt);
    else
        log_error("there is no option %s; try --help", written);
    return -1;
}

static int set_flag_option(int found, struct options *options)
{
    switch (found) {
    case OPTION_HELP:
        options->action = ACTION_HELP;
        return 0;
    case 'V':
        options->action = ACTION_VERSION;
        return 0;
    case OPTION_DUMP_CONFIG:
        options->action = ACTION_DUMP_CONFIG;
        return 0;
    case OPTION_DUMP_PLUGIN:
        options->action = ACTION_DUMP_PLUGIN;
        return 0;
    case OPTION_EXIT_WITH_PARENT:
        options->exits_with_parent = options->is_foreground = true;
        return 0;
    case 'f':
        options->is_foreground = true;
        return 0;
    case 'n':
        return 0;
    case 'r':
        options->is_readonly = true;
        return 0;
    case 's':
        options->is_single = options->is_foreground = true;
        return 0;
    case 'v':
        options->is_verbose = true;
        return 0;
    default:
        return -1;
    }
}

static int set_option(int found, int long_index, struct options *options)
{
    char letter[] = { (char)found, '\0' };

    switch (found) {
    case 'e':
        return parse_export_name(optarg, &options->export_name);
    case 'i':
        options->address = optarg;
        return 0;
    case 'P':
        options->pid_file = optarg;
        return 0;
    case 'p':
        options->has_port = true;
        return nbdkit_parse_uint16_t("-p/--port", optarg, &options->port);
    case 't':
        return parse_threads(optarg, &options->threads);
    case 'U':
        options->unix_path = optarg;
        return 0;
    case OPTION_RUN:
        options->run_command = optarg;
        options->is_foreground = true;
        return 0;
    case OPTION_NOT_YET:
        return refuse_not_yet("--", long_options[long_index].name);
    case '4':
    case '6':
    case 'D':
    case 'g':
    case 'o':
    case 'u':
        return refuse_not_yet("-", letter);
    default:
        return set_flag_option(found, options);
    }
}

static int refuse_combination(const char *text)
{
    log_error("%s", text);
    return -1;
}

/* What cannot be used together, and what follows from what. */
static int settle(struct options *options)
{
    if (options->unix_path && (options->has_port || options->address))
        return refuse_combination("-U cannot be used together with -p or -i: a socket is in "
                                  "the file system or on the network");
    if (options->is_single && (options->unix_path || options->has_port || options->address))
        return refuse_combination("-s cannot be used together with -U, -p or -i: the client is "
                                  "on standard input and output");
    if (options->is_single && options->run_command)
        return refuse_combination("-s cannot be used together with --run");
    if (options->run_command && !options->unix_path && !options->has_port)
        options->unix_path = "-";
    if (!options->plugin && options->action == ACTION_SERVE)
        return refuse_combination("which plugin? give the name of one, or the path of a script; "
                                  "try --help");
    if (!options->plugin && options->action == ACTION_DUMP_PLUGIN)
        return refuse_combination("--dump-plugin: which plugin?");
    return 0;
}

int options_parse(int argc, char **argv, struct options *options)
{
    int found;
    int long_index = 0;

    *options = (struct options){
        .threads = THREADS_DEFAULT,
        .port = PORT_DEFAULT,
        .export_name = "",
    };
    opterr = 0;
    /* Options may follow the plugin's name and its parameters, as in nbdkit. */
    while ((found = getopt_long(argc, argv, short_options, long_options, &long_index)) != -1) {
        if (found == '?' || found == ':')
            return refuse_unknown(found, argv);
        if (set_option(found, long_index, options) < 0)
            return -1;
    }
    if (optind < argc)
        options->plugin = argv[optind++];
    options->parameters = argv + optind;
    return settle(options);
}
