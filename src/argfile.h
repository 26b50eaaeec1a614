/* SPDX-License-Identifier: BSD-3-Clause */
/* Parameters of the plugin that stand in a file: @FILE on the command line. */
#ifndef ARGFILE_H
#define ARGFILE_H

#include <stdbool.h>

/*
 * Is there something to read parameters from: anything but a folder? If not,
 * false with errno. Main thread.
 */
bool argfile_exists(const char *path);

/*
 * Calls `use` for each parameter in the file, in order, until it fails: a line
 * each, without the white space in front of it, but no empty line and none that
 * begins with #. The parameters stay valid. Returns 0, or -1 after logging.
 * Main thread.
 */
int argfile_read(const char *path, int (*use)(const char *parameter));

#endif
