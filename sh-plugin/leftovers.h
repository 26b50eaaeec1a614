/* SPDX-License-Identifier: BSD-3-Clause */
/* Ends the processes that scripts leave behind, wherever they went. */
#ifndef LEFTOVERS_H
#define LEFTOVERS_H

#include <stdbool.h>

/*
 * Ends every process of this user that has `variable` ("tmpdir=...") in its
 * environment, or is in a process group that groups.h remembers: SIGTERM, and
 * SIGKILL to those that still run a second later, or at once if is_abrupt.
 * Returns when they are gone or were killed. One thread at a time.
 */
void leftovers_end(const char *variable, bool is_abrupt);

#endif
