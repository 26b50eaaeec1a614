/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * With workers, processes that scripts leave behind become children of the
 * server (PR_SET_CHILD_SUBREAPER), which has to wait for them when they end.
 * It must not wait for a child that somebody else waits for, whose status would
 * be lost: those are kept out of it by their ids, or by standing in the
 * server's own process group. Any thread; a lock of its own.
 */
#ifndef ORPHANS_H
#define ORPHANS_H

#include <sys/types.h>

/* Before a child is started whose id is not known yet. None is waited for until orphans_keep. */
void orphans_begin_start(void);

/* After it: the child is its starter's. 0 if it could not be started. */
void orphans_keep(pid_t pid);

/* The child has been waited for. */
void orphans_release(pid_t pid);

/* Waits for orphans that have ended. */
void orphans_reap(void);

#endif
