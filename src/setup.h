/* SPDX-License-Identifier: BSD-3-Clause */
/* From the command line to a plugin that knows its parameters. */
#ifndef SETUP_H
#define SETUP_H

struct options;

/* Finds and loads the plugin. Returns 0, or -1 after logging. Main thread. */
int setup_load(const struct options *options);

/* Passes the parameters on to it. Returns 0, or -1 after logging. Main thread. */
int setup_configure(const struct options *options);

#endif
