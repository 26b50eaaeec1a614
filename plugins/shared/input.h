/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Standard input, where a plugin's script or source may be given as "-". Main
 * thread, while the server is configured.
 */
#ifndef INPUT_H
#define INPUT_H

#include <sys/types.h>

/* May standard input be read? `what`, "script" or "source", is for the message. Returns 0 or -1. */
int input_check(const char *what);

/* Saves all of it as the new file `path` with those permissions. Returns 0, or -1 after logging. */
int input_save(const char *path, const char *what, mode_t mode);

#endif
