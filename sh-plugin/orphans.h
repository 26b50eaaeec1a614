/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Waiting for children that nobody else waits for, so that none stays a zombie:
 * those that did not die in time when they were killed, and, where the server is
 * a subreaper (with workers) or process 1, those that scripts leave behind. It
 * must not wait for a child that somebody else waits for, whose status would be
 * lost: those are kept out of it by their ids, or by standing in the server's
 * own process group. Any thread; a lock of its own.
 */
#ifndef ORPHANS_H
#define ORPHANS_H

#include <stdbool.h>
#include <sys/types.h>

/* The process is the one that serves, and a subreaper already if it is to be one. */
void orphans_begin(void);

/* Forgets all children. */
void orphans_end(void);

/* Before a child is started whose id is not known yet. None is waited for until orphans_keep. */
void orphans_begin_start(void);

/* After it: the child is its starter's. 0 if it could not be started. */
void orphans_keep(pid_t pid);

/*
 * Its starter waits for the child, which has exited or been killed. Returns
 * true and stores its wait status, or returns false if it is not dead yet: then
 * it is waited for here, whenever it dies.
 */
bool orphans_collect(pid_t pid, int *wait_status);

/* Waits for those that have ended and are nobody else's. */
void orphans_reap(void);

#endif
