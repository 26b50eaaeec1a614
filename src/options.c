// SPDX-License-Identifier: BSD-3-Clause
/*
 * Reads the command line: one table of options, then what they are together.
 * Entered by the main thread at start-up; calls values, debug_flags and log.
 */
#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "debug_flags.h"
#include "log.h"
#include "values.h"
#include "wire.h"

enum { PORT_DEFAULT = 10809 }; /* IANA's for NBD */
enum { THREADS_DEFAULT = 16 };
enum { CONNECTIONS_DEFAULT = 1024 };
enum { TIMEOUT_DEFAULT = 10 }; /* seconds */
#define IN_FLIGHT_DEFAULT_BYTES (UINT64_C(1024) * 1024 * 1024)

static int set_ipv4_only(struct options *options, const char *value)
{
    (void)value;
    options->is_ipv4_only = true;
    options->is_ipv6_only = false;
    return 0;
}

static int set_ipv6_only(struct options *options, const char *value)
{
    (void)value;
    options->is_ipv6_only = true;
    options->is_ipv4_only = false;
    return 0;
}

static int set_debug_flag(struct options *options, const char *value)
{
    if (!debug_flags_is_valid(value))
        return -1;
    options->debug_flags[options->debug_flag_count++] = value;
    return 0;
}

static int refuse_filter(struct options *options, const char *value)
{
    (void)options;
    (void)value;
    log_error("option --filter is not supported yet");
    return -1;
}

static int set_newstyle(struct options *options, const char *value)
{
    (void)value;
    options->policy.is_oldstyle = false;
    return 0;
}

static int set_port(struct options *options, const char *value)
{
    options->has_port = true;
    return values_read_port(value, &options->port);
}

/* What an option does with its value. */
enum kind {
    KIND_FLAG,   /* sets the bool at `member` */
    KIND_TEXT,   /* sets the const char * at `member`, which may not be empty */
    KIND_ACTION, /* sets the action */
    KIND_READ,   /* calls `read` with the value and `member` */
    KIND_VALUE,  /* calls `set` with the value */
    KIND_CALL    /* calls `set`, takes no value */
};

enum { NAMES_MAX = 6 };
enum { NAME_SIZE = 32 }; /* of "-p/--port" and the like */

#define MEMBER(name) .member = offsetof(struct options, name)

/*
 * In the order of help.c, nbdlab(1) and its completion, which have a line for each.
 * The first of an option's names is the one that messages use.
 */
static const struct row {
    char letter;
    enum kind kind;
    const char *names[NAMES_MAX];
    size_t member;
    int (*read)(const char *value, void *member);
    int (*set)(struct options *options, const char *value);
    enum options_action action;
} rows[] = {
    { '4', KIND_CALL, { "ipv4-only" }, .set = set_ipv4_only },
    { '6', KIND_CALL, { "ipv6-only" }, .set = set_ipv6_only },
    { 0,
      KIND_READ,
      { "bytes-in-flight" },
      MEMBER(policy.in_flight_max_bytes),
      .read = values_read_bytes_in_flight },
    { 0,
      KIND_READ,
      { "connections" },
      MEMBER(policy.connections_max),
      .read = values_read_connections },
    { 'D', KIND_VALUE, { "debug" }, .set = set_debug_flag },
    { 0, KIND_FLAG, { "exit-with-parent" }, MEMBER(exits_with_parent) },
    { 'e',
      KIND_READ,
      { "exportname", "export", "export-name" },
      MEMBER(export_name),
      .read = values_read_export_name },
    { 0, KIND_VALUE, { "filter" }, .set = refuse_filter },
    { 'f', KIND_FLAG, { "foreground", "no-fork" }, MEMBER(is_foreground) },
    { 'g', KIND_TEXT, { "group" }, MEMBER(group) },
    { 'i', KIND_TEXT, { "ipaddr", "ip-addr" }, MEMBER(address) },
    { 0, KIND_FLAG, { "keepalive", "keep-alive" }, MEMBER(policy.has_keepalive) },
    { 0, KIND_READ, { "log" }, MEMBER(log), .read = values_read_log },
    { 0,
      KIND_READ,
      { "mask-handshake" },
      MEMBER(policy.handshake_flags),
      .read = values_read_handshake_mask },
    { 0, KIND_READ, { "name" }, MEMBER(name), .read = values_read_name },
    { 'n', KIND_CALL, { "newstyle", "new-style" }, .set = set_newstyle },
    { 0, KIND_FLAG, { "no-mc", "no-meta-contexts" }, MEMBER(policy.refuses_meta_contexts) },
    { 0,
      KIND_FLAG,
      { "no-sr", "no-structured-replies" },
      MEMBER(policy.refuses_structured_replies) },
    { 'o', KIND_FLAG, { "oldstyle", "old-style" }, MEMBER(policy.is_oldstyle) },
    { 'P', KIND_TEXT, { "pidfile", "pid-file" }, MEMBER(pid_file) },
    { 'p', KIND_VALUE, { "port" }, .set = set_port },
    { 0, KIND_FLAG, { "print-uri", "print-url", "show-uri", "show-url" }, MEMBER(prints_uri) },
    { 'r', KIND_FLAG, { "readonly", "read-only" }, MEMBER(policy.is_readonly) },
    { 0, KIND_READ, { "run" }, MEMBER(run_command), .read = values_read_run_command },
    { 0, KIND_TEXT, { "selinux-label" }, MEMBER(selinux_label) },
    { 's', KIND_FLAG, { "single", "stdin" }, MEMBER(is_single) },
    { 0, KIND_FLAG, { "swap" }, MEMBER(locks_memory) },
    { 't', KIND_READ, { "threads" }, MEMBER(policy.threads), .read = values_read_threads },
    { 0,
      KIND_READ,
      { "timeout", "time-out" },
      MEMBER(policy.timeout_ms),
      .read = values_read_timeout },
    { 0, KIND_READ, { "tls" }, MEMBER(policy.tls), .read = values_read_tls },
    { 0, KIND_TEXT, { "tls-certificates" }, MEMBER(tls_certificates) },
    { 0, KIND_TEXT, { "tls-priority" }, MEMBER(tls_priority) },
    { 0, KIND_TEXT, { "tls-psk" }, MEMBER(tls_psk) },
    { 0, KIND_FLAG, { "tls-verify-peer" }, MEMBER(verifies_tls_peer) },
    { 'U', KIND_TEXT, { "unix" }, MEMBER(unix_path) },
    { 'u', KIND_TEXT, { "user" }, MEMBER(user) },
    { 'v', KIND_FLAG, { "verbose" }, MEMBER(is_verbose) },
    { 0, KIND_FLAG, { "vsock" }, MEMBER(is_vsock) },
    { 0, KIND_ACTION, { "dump-config" }, .action = ACTION_DUMP_CONFIG },
    { 0, KIND_ACTION, { "dump-plugin" }, .action = ACTION_DUMP_PLUGIN },
    { 0, KIND_ACTION, { "help" }, .action = ACTION_HELP },
    { 0, KIND_ACTION, { "long-options" }, .action = ACTION_LONG_OPTIONS },
    { 0, KIND_ACTION, { "short-options" }, .action = ACTION_SHORT_OPTIONS },
    { 'V', KIND_ACTION, { "version" }, .action = ACTION_VERSION },
};
enum { ROW_COUNT = sizeof rows / sizeof rows[0] };

/* What getopt_long(3) returns for a row without a letter: aliases have it in common. */
enum { ROW_CODE = 256 };

static bool has_value(const struct row *row)
{
    return row->kind == KIND_TEXT || row->kind == KIND_READ || row->kind == KIND_VALUE;
}

/* The table in the two forms that getopt_long(3) wants. */
struct getopt_tables {
    char letters[2 * ROW_COUNT + 2];
    struct option names[NAMES_MAX * ROW_COUNT + 1];
};

static void make_getopt_tables(struct getopt_tables *tables)
{
    char *letter = tables->letters;
    struct option *option = tables->names;

    *letter++ = ':';
    for (int i = 0; i < ROW_COUNT; i++) {
        const struct row *row = &rows[i];
        if (row->letter)
            *letter++ = row->letter;
        if (row->letter && has_value(row))
            *letter++ = ':';
        for (int j = 0; j < NAMES_MAX && row->names[j]; j++)
            *option++ = (struct option){ row->names[j], has_value(row), NULL, ROW_CODE + i };
    }
    *letter = '\0';
    *option = (struct option){ NULL, 0, NULL, 0 };
}

static const struct row *find_row(int found)
{
    for (int i = 0; i < ROW_COUNT; i++)
        if (found == ROW_CODE + i || (found && found == rows[i].letter))
            return &rows[i];
    return NULL;
}

/* How messages name an option: "-p/--port". Returns `text`. */
static const char *name_row(const struct row *row, char text[NAME_SIZE])
{
    if (row->letter)
        snprintf(text, NAME_SIZE, "-%c/--%s", row->letter, row->names[0]);
    else
        snprintf(text, NAME_SIZE, "--%s", row->names[0]);
    return text;
}

static int refuse_empty(const struct row *row)
{
    char name[NAME_SIZE];

    log_error("option %s needs a value that is not empty; try --help", name_row(row, name));
    return -1;
}

static int set_option(const struct row *row, struct options *options, const char *value)
{
    void *member = (char *)options + row->member;

    switch (row->kind) {
    case KIND_FLAG:
        *(bool *)member = true;
        return 0;
    case KIND_TEXT:
        *(const char **)member = value;
        return *value ? 0 : refuse_empty(row);
    case KIND_READ:
        return row->read(value, member);
    case KIND_ACTION:
        options->action = row->action;
        return 0;
    default:
        return row->set(options, value);
    }
}

void options_print_short(void)
{
    for (int i = 0; i < ROW_COUNT; i++)
        if (rows[i].letter)
            printf("-%c\n", rows[i].letter);
}

void options_print_long(void)
{
    for (int i = 0; i < ROW_COUNT; i++)
        for (int j = 0; j < NAMES_MAX && rows[i].names[j]; j++)
            printf("--%s\n", rows[i].names[j]);
}

/* `written` is "--NAME" or "--NAME=VALUE", where NAME begins no option or several. */
static void refuse_long(const struct option *names, const char *written)
{
    CLEANUP_FREE char *list = NULL;
    size_t length;
    size_t written_length = strcspn(written, "=");
    FILE *out = open_memstream(&list, &length);

    if (!out) {
        log_error("%m");
        return;
    }
    for (const struct option *option = names; option->name; option++)
        if (strncmp(option->name, written + 2, written_length - 2) == 0)
            fprintf(out, "%s--%s", ftell(out) ? ", " : "", option->name);
    fclose(out);
    if (length > 0)
        log_error("%.*s is short for several options: %s", (int)written_length, written, list);
    else
        log_error("there is no option %.*s; try --help", (int)written_length, written);
}

static int refuse_word(const struct option *names, int found, char **argv)
{
    const struct row *row = find_row(optopt);
    char name[NAME_SIZE];

    if (row && found == ':')
        log_error("option %s needs a value; try --help", name_row(row, name));
    else if (row)
        log_error("option %s takes no value; try --help", name_row(row, name));
    else if (optopt)
        log_error("there is no option -%c; try --help", optopt);
    else
        refuse_long(names, argv[optind - 1]);
    return -1;
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
    if (options->is_vsock && (options->unix_path || options->address))
        return refuse_combination("--vsock cannot be used together with -U or -i: it is a network "
                                  "of its own, between virtual machines and their host");
    if (options->is_single && options->action == ACTION_DUMP_PLUGIN)
        return refuse_combination("-s cannot be used together with --dump-plugin, which writes to "
                                  "standard output");
    if (options->is_single && options->is_vsock)
        return refuse_combination("-s cannot be used together with --vsock");
    if (options->is_single && options->run_command)
        return refuse_combination("-s cannot be used together with --run");
    if (options->is_single && options->prints_uri)
        return refuse_combination("-s cannot be used together with --print-uri: nobody can "
                                  "connect to standard input and output");
    if (options->policy.is_oldstyle && options->policy.tls == TLS_REQUIRE)
        return refuse_combination("-o cannot be used together with --tls=require: the oldstyle "
                                  "protocol has no TLS");
    if (!options->is_vsock && options->port > UINT16_MAX) {
        log_error("-p/--port: %u is not a TCP port, which is a number from 0 to 65535",
                  options->port);
        return -1;
    }
    if (options->run_command && !options->unix_path && !options->has_port && !options->is_vsock)
        options->unix_path = "-";
    if (options->is_single || options->run_command || options->exits_with_parent)
        options->is_foreground = true;
    if (!options->plugin && options->action == ACTION_SERVE)
        return refuse_combination("which plugin? give the name of one, or the path of a script; "
                                  "try --help");
    if (!options->plugin && options->action == ACTION_DUMP_PLUGIN)
        return refuse_combination("--dump-plugin: which plugin?");
    return 0;
}

int options_parse(int argc, char **argv, struct options *options)
{
    struct getopt_tables tables;
    int found;

    *options = (struct options){
        .port = PORT_DEFAULT,
        .export_name = "",
        .log = "default",
        .policy = {
            .handshake_flags = NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES,
            .threads = THREADS_DEFAULT,
            .timeout_ms = TIMEOUT_DEFAULT * 1000,
            .connections_max = CONNECTIONS_DEFAULT,
            .in_flight_max_bytes = IN_FLIGHT_DEFAULT_BYTES,
            .tls = TLS_DEFAULT,
        },
    };
    options->debug_flags = calloc((size_t)argc + 1, sizeof *options->debug_flags);
    if (!options->debug_flags) {
        log_error("%m");
        return -1;
    }
    make_getopt_tables(&tables);
    opterr = 0;
    /* Options may follow the plugin's name and its parameters, as in nbdkit. */
    while ((found = getopt_long(argc, argv, tables.letters, tables.names, NULL)) != -1) {
        if (found == '?' || found == ':')
            return refuse_word(tables.names, found, argv);
        if (set_option(find_row(found), options, optarg) < 0)
            return -1;
    }
    if (optind < argc)
        options->plugin = argv[optind++];
    options->parameters = argv + optind;
    return settle(options);
}
