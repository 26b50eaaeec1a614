/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The file that the sh plugin runs. Used while the server is configured, by
 * one thread, where nothing else is said. Errors have been logged when the functions return.
 */
#ifndef SCRIPT_H
#define SCRIPT_H

#include <stdbool.h>

#include "program.h"

/*
 * Looks at the file at path, which the user calls name, before it is run, and
 * explains what is wrong with it. Returns 0 and stores whether it needs /bin/sh to run it, or -1.
 */
int script_check_file(const char *path, const char *name, bool *needs_shell);

/*
 * Which shell runs the script at path, if its #! line names one that can be a
 * template. The file is looked into only if it has changed since the last time.
 * One thread at a time, at any time.
 */
enum program_fitness script_find_shell(const char *path, struct shell *shell);

/*
 * The text of the script at path, for free(3), if a shell runs it and it is not
 * too long to be looked at; else NULL. `needs_shell` as script_check_file() found it.
 */
char *script_read_text(const char *path, bool needs_shell);

#endif
