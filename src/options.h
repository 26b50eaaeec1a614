/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line (nbdlab(1)). */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum options_action {
    ACTION_SERVE,
    ACTION_HELP,
    ACTION_VERSION,
    ACTION_DUMP_CONFIG,
    ACTION_DUMP_PLUGIN
};

struct options {
    enum options_action action;
    bool is_foreground;
    bool is_readonly;
    bool is_single; /* -s: the client is on stdin and stdout */
    bool is_verbose;
    bool exits_with_parent;
    unsigned threads;        /* per connection, 1..1024 */
    const char *export_name; /* -e, for --run */
    const char *address;     /* -i, or NULL for every interface */
    bool has_port;           /* -p was given */
    uint16_t port;           /* TCP; 0 for a free one */
    const char *pid_file;    /* -P, or NULL */
    const char *unix_path;   /* -U, "-" for a private socket, or NULL for TCP */
    const char *run_command; /* --run, or NULL */
    char *plugin;            /* name or path; NULL where an action needs none */
    char **parameters;       /* what follows the plugin, up to a NULL */
};

/*
 * Reads argv, which must stay valid. Returns 0, or -1 after saying on stderr
 * what was wrong. Main thread.
 */
int options_parse(int argc, char **argv, struct options *options);

/* The usage text, to stdout. */
void options_print_help(void);

#endif
