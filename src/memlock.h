/* SPDX-License-Identifier: BSD-3-Clause */
/* --swap: a server that stays in memory, for a disk that the machine swaps to. */
#ifndef MEMLOCK_H
#define MEMLOCK_H

#include <stdbool.h>

/*
 * Locks what the process has in memory, and what it will ever use. In the
 * process that serves, before the rights to do it are given up, if they are.
 * Returns 0, or -1 after logging. Main thread.
 */
int memlock_all(bool keeps_capabilities);

#endif
