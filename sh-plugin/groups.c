// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns the list of process groups that outlived their script. Any thread
 * enters it; the list has a lock of its own. Calls pids and nbdkit_error.
 *
 * The kernel does not give a process id to a new process while a group of that
 * number has members. So a group whose number is the id of a live process is
 * not the one that was remembered: that one is gone, and the number was reused.
 */
#include "groups.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "pids.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct pids groups; /* lock */

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
    for (size_t i = groups.count; i > 0; i--)
        if (!is_alive(groups.ids[i - 1]))
            pids_remove(&groups, groups.ids[i - 1]);
}

void groups_remember(pid_t group)
{
    int result = 0;

    pthread_mutex_lock(&lock);
    prune_locked();
    if (is_alive(group))
        result = pids_add(&groups, group);
    pthread_mutex_unlock(&lock);
    if (result < 0)
        nbdkit_error("no memory to remember process group %d of a script: end it by hand",
                     (int)group);
}

bool groups_is_remembered(pid_t group)
{
    pthread_mutex_lock(&lock);
    bool is_found = pids_has(&groups, group) && getpgid(group) < 0;
    pthread_mutex_unlock(&lock);
    return is_found;
}

void groups_release(void)
{
    pthread_mutex_lock(&lock);
    pids_clear(&groups);
    pthread_mutex_unlock(&lock);
}
