/* SPDX-License-Identifier: BSD-3-Clause */
/* What --dump-config and --dump-plugin print, one key=value a line (nbdlab(1)). */
#ifndef DUMP_H
#define DUMP_H

#include <stdio.h>

/* How this program was built, to stdout. */
void dump_config(void);

/* The loaded and configured plugin, to stdout, its own dump_plugin last. */
void dump_plugin(void);

/* The plugin's help, to `out`: name, description, parameters. */
void dump_plugin_help(FILE *out);

#endif
