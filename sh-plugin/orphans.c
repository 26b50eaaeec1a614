/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns the ids of the children that the plugin waits for itself. Any thread
 * enters it, with a lock of its own. Calls libc only.
 */
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "orphans.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pid_t *kept;       /* lock */
static size_t count;      /* lock */
static size_t capacity;   /* lock */
static unsigned starting; /* lock: children whose id is not known yet */

void orphans_begin_start(void)
{
    pthread_mutex_lock(&lock);
    starting++;
    pthread_mutex_unlock(&lock);
}

/* Returns 0, or -1 if there is no memory. */
static int append_locked(pid_t pid)
{
    if (count == capacity) {
        size_t larger = capacity == 0 ? 16 : capacity * 2;
        pid_t *moved = realloc(kept, larger * sizeof(*kept));
        if (moved == NULL)
            return -1;
        kept = moved;
        capacity = larger;
    }
    kept[count++] = pid;
    return 0;
}

void orphans_keep(pid_t pid)
{
    pthread_mutex_lock(&lock);
    /* Without memory the start never ends: zombies are the lesser evil. */
    if (pid <= 0 || append_locked(pid) == 0)
        starting--;
    pthread_mutex_unlock(&lock);
}

void orphans_release(pid_t pid)
{
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < count; i++)
        if (kept[i] == pid) {
            kept[i] = kept[--count];
            break;
        }
    if (count == 0) {
        free(kept);
        kept = NULL;
        capacity = 0;
    }
    pthread_mutex_unlock(&lock);
}

static int is_orphan_locked(pid_t pid)
{
    for (size_t i = 0; i < count; i++)
        if (kept[i] == pid)
            return 0;
    return getpgid(pid) != getpgrp();
}

/*
 * The kernel shows one zombie at a time. Behind one that is kept there may be
 * an orphan, which is seen when that one's owner has waited for it.
 */
void orphans_reap(void)
{
    siginfo_t info;

    pthread_mutex_lock(&lock);
    while (starting == 0) {
        info.si_pid = 0;
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0 ||
            !is_orphan_locked(info.si_pid))
            break;
        waitpid(info.si_pid, NULL, WNOHANG);
    }
    pthread_mutex_unlock(&lock);
}
