/* SPDX-License-Identifier: BSD-3-Clause */
/* A growing set of process ids. Its owner's lock, if it has one; any thread. */
#ifndef PIDS_H
#define PIDS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Zeroes at first. Only pids.c changes the members; anybody may read them. */
struct pids {
    pid_t *ids;
    size_t count;
    size_t capacity;
};

/* Returns 0, or -1 if there is no memory. */
int pids_add(struct pids *pids, pid_t pid);

/* Nothing, where it is not there. The last id takes its place. */
void pids_remove(struct pids *pids, pid_t pid);

bool pids_has(const struct pids *pids, pid_t pid);

/* Empties it and frees its memory. */
void pids_clear(struct pids *pids);

#endif
