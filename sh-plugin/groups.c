/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns the list of process groups that outlived their script. Any thread
 * enters it; the list has a lock of its own. Calls libc and nbdkit_error.
 *
 * The kernel does not give a process id to a new process while a group of that
 * number has members. So a group whose number is the id of a live process is
 * not the one that was remembered: that one is gone, and the number was reused.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "groups.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pid_t *groups;   /* lock */
static size_t count;    /* lock */
static size_t capacity; /* lock */

static bool is_alive(pid_t group)
{
    if (getpgid(group) >= 0)
        return false;
    /* Orphans are ours to wait for where the server is process 1. */
    while (waitpid(-group, NULL, WNOHANG) > 0)
        ;
    return kill(-group, 0) == 0;
}

static void prune_locked(void)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++)
        if (is_alive(groups[i]))
            groups[kept++] = groups[i];
    count = kept;
}

/* Returns 0, or -1 if there is no memory. */
static int append_locked(pid_t group)
{
    if (count == capacity) {
        size_t larger = capacity == 0 ? 16 : capacity * 2;
        pid_t *moved = realloc(groups, larger * sizeof(*groups));
        if (moved == NULL)
            return -1;
        groups = moved;
        capacity = larger;
    }
    groups[count++] = group;
    return 0;
}

void groups_remember(pid_t group)
{
    int result = 0;

    pthread_mutex_lock(&lock);
    prune_locked();
    if (is_alive(group))
        result = append_locked(group);
    pthread_mutex_unlock(&lock);
    if (result < 0)
        nbdkit_error("no memory to remember process group %d of a script: end it by hand",
                     (int)group);
}

bool groups_is_remembered(pid_t group)
{
    bool is_found = false;

    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < count && !is_found; i++)
        is_found = groups[i] == group && getpgid(group) < 0;
    pthread_mutex_unlock(&lock);
    return is_found;
}

void groups_release(void)
{
    pthread_mutex_lock(&lock);
    free(groups);
    groups = NULL;
    count = capacity = 0;
    pthread_mutex_unlock(&lock);
}
