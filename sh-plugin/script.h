/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The file that the sh plugin runs. Used while the server is configured, by
 * one thread. Errors have been logged when the functions return.
 */
#ifndef SCRIPT_H
#define SCRIPT_H

#include <stdbool.h>

/*
 * Looks at the file at path, which the user calls name, before it is run, and
 * explains what is wrong with it. Returns 0 and stores whether it needs /bin/sh to run it, or -1.
 */
int script_check_file(const char *path, const char *name, bool *needs_shell);

/* Saves standard input as an executable file at path. Returns 0 or -1. */
int script_save_stdin(const char *path);

#endif
