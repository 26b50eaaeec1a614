// SPDX-License-Identifier: BSD-3-Clause
/* Pure: owns nothing, and calls libc only. Any thread. */
#include "pids.h"

#include <stdlib.h>

enum { FIRST_CAPACITY = 16 };

int pids_add(struct pids *pids, pid_t pid)
{
    if (pids->count == pids->capacity) {
        size_t larger = pids->capacity == 0 ? FIRST_CAPACITY : pids->capacity * 2;
        pid_t *moved = realloc(pids->ids, larger * sizeof *moved);
        if (!moved)
            return -1;
        pids->ids = moved;
        pids->capacity = larger;
    }
    pids->ids[pids->count++] = pid;
    return 0;
}

void pids_remove(struct pids *pids, pid_t pid)
{
    for (size_t i = 0; i < pids->count; i++)
        if (pids->ids[i] == pid) {
            pids->ids[i] = pids->ids[--pids->count];
            break;
        }
    if (pids->count == 0)
        pids_clear(pids);
}

bool pids_has(const struct pids *pids, pid_t pid)
{
    for (size_t i = 0; i < pids->count; i++)
        if (pids->ids[i] == pid)
            return true;
    return false;
}

void pids_clear(struct pids *pids)
{
    free(pids->ids);
    *pids = (struct pids){ 0 };
}
