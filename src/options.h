/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line (nbdlab(1)). */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy.h"

enum options_action {
    ACTION_SERVE,
    ACTION_HELP,
    ACTION_VERSION,
    ACTION_DUMP_CONFIG,
    ACTION_DUMP_PLUGIN,
    ACTION_SHORT_OPTIONS,
    ACTION_LONG_OPTIONS
};

/* Strings are argv's, or NULL where the option was not given. */
struct options {
    enum options_action action;
    bool is_ipv4_only;
    bool is_ipv6_only;
    bool is_foreground;
    bool is_single; /* -s: the client is on stdin and stdout */
    bool is_verbose;
    bool is_vsock;
    bool exits_with_parent;
    bool locks_memory; /* --swap */
    bool prints_uri;
    bool has_port;             /* -p was given */
    bool verifies_tls_peer;    /* --tls-verify-peer */
    const char *export_name;   /* -e, for --run and --print-uri; "" without it */
    const char *group;         /* -g */
    const char *user;          /* -u */
    const char *address;       /* -i; NULL for every interface */
    uint32_t port;             /* TCP or vsock; 0 for a free one */
    const char *log;           /* --log, "default" without it */
    const char *name;          /* --name */
    const char *pid_file;      /* -P */
    const char *run_command;   /* --run */
    const char *selinux_label; /* --selinux-label */
    const char *tls_certificates;
    const char *tls_priority;
    const char *tls_psk;
    const char *unix_path;    /* -U, "-" for a private socket */
    const char **debug_flags; /* -D: NAME.FLAG=N; up to a NULL */
    size_t debug_flag_count;
    struct policy policy;
    char *plugin;      /* name or path; NULL where an action needs none */
    char **parameters; /* what follows the plugin, up to a NULL */
};

/*
 * Reads argv, which must stay valid. Returns 0, or -1 after saying on stderr
 * what was wrong. Main thread.
 */
int options_parse(int argc, char **argv, struct options *options);

/* Every option with a letter, or every long one, a line each, to stdout (for completion). */
void options_print_short(void);
void options_print_long(void);

#endif
