/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The process groups of scripts that ended and left children behind. That is
 * allowed while the server runs; when it ends, they end. Any thread.
 */
#ifndef GROUPS_H
#define GROUPS_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Remembers the process group of a script that was waited for, if it still has
 * members, and forgets the groups that have none any more.
 */
void groups_remember(pid_t group);

/* Is this the number of a group that was remembered, and not given to another one since? */
bool groups_is_remembered(pid_t group);

/* Forgets them all. */
void groups_release(void);

#endif
