/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Subshells that wait for a call, as many as calls lately needed at a time, and
 * the thread that has the template fork more. They have a lock of their own;
 * no other is taken under it. Any thread takes a subshell; beginning and ending
 * are for the thread that starts and ends the server.
 */
#ifndef POOL_H
#define POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "spawn.h"

/* Starts the pool, in the process that serves. Returns 0, or -1 after nbdkit_error. */
int pool_begin(void);

/* Ends it with all that waits in it. No call is in progress. Nothing, if it did not begin. */
void pool_end(void);

/*
 * Takes a subshell for a call that began at start_ns, waiting for one. Returns
 * false if there is none to be had; then the program has to be started.
 */
bool pool_take(int64_t start_ns, struct spawn_started *subshell);

/* The call of a subshell that was taken is over. */
void pool_note_end(void);

#endif
