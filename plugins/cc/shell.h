/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs a command of the shell and waits for it.
 */
#ifndef SHELL_H
#define SHELL_H

/*
 * Runs `script` with /bin/sh; it finds `arguments`, up to a NULL, as $1 and so
 * on. Its input is empty, its output goes to standard error, and it inherits no
 * other descriptor. Ends it where the server is told to stop. Returns its wait
 * status, or -1 after nbdkit_error.
 */
int shell_run(const char *script, const char *const arguments[]);

#endif
