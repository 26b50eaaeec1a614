// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns the ids of the children that the plugin waits for itself. Any thread
 * enters it, with a lock of its own. Calls limits, pids, proc and nbdkit_stop_fd.
 *
 * The kernel shows one zombie at a time. Where that is somebody else's, others
 * may be behind it, for as long as a background child holds the pipes of a call,
 * say. When it has been the first for a second, they are looked for in /proc.
 */
#include "orphans.h"

#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "limits.h"
#include "pids.h"
#include "proc.h"

#define LOOK_EACH_NS (1000 * LIMITS_NANOSECONDS_PER_MS)
#define NEGLECT_NS (10000 * LIMITS_NANOSECONDS_PER_MS)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    bool is_reaper;        /* orphans become this process's children */
    unsigned starting;     /* children whose id is not known yet */
    struct pids kept;      /* those that their starters wait for */
    struct pids abandoned; /* those that have been killed, and were not dead in time */
    pid_t blocker;         /* the zombie that the kernel shows, and that is somebody's; or 0 */
    int64_t look_ns;       /* when to look behind it */
    struct pids neglected; /* zombies in the server's group when they were last counted */
    int64_t count_ns;      /* when to count them again */
} orphans;                 /* lock */

void orphans_begin(void)
{
    int is_subreaper = 0;

    prctl(PR_GET_CHILD_SUBREAPER, &is_subreaper, 0, 0, 0);
    pthread_mutex_lock(&lock);
    orphans.is_reaper = is_subreaper || getpid() == 1;
    pthread_mutex_unlock(&lock);
}

void orphans_end(void)
{
    pthread_mutex_lock(&lock);
    pids_clear(&orphans.kept);
    pids_clear(&orphans.abandoned);
    pids_clear(&orphans.neglected);
    pthread_mutex_unlock(&lock);
}

void orphans_begin_start(void)
{
    pthread_mutex_lock(&lock);
    orphans.starting++;
    pthread_mutex_unlock(&lock);
}

void orphans_keep(pid_t pid)
{
    pthread_mutex_lock(&lock);
    /* Without memory the start never ends: zombies are the lesser evil. */
    if (pid <= 0 || pids_add(&orphans.kept, pid) == 0)
        orphans.starting--;
    pthread_mutex_unlock(&lock);
}

bool orphans_collect(pid_t pid, int *wait_status)
{
    pid_t result = waitpid(pid, wait_status, WNOHANG);

    pthread_mutex_lock(&lock);
    pids_remove(&orphans.kept, pid);
    if (result == 0)
        pids_add(&orphans.abandoned, pid);
    pthread_mutex_unlock(&lock);
    return result == pid;
}

static void reap_abandoned_locked(void)
{
    for (size_t i = orphans.abandoned.count; i > 0; i--) {
        pid_t pid = orphans.abandoned.ids[i - 1];
        if (waitpid(pid, NULL, WNOHANG) != 0)
            pids_remove(&orphans.abandoned, pid);
    }
}

/* Waits for orphans until the first zombie is none, whose id it returns, or 0 if none is left. */
static pid_t reap_first_locked(void)
{
    siginfo_t info;

    for (;;) {
        info.si_pid = 0;
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
            return 0;
        if (pids_has(&orphans.kept, info.si_pid) || getpgid(info.si_pid) == getpgrp())
            return info.si_pid;
        waitpid(info.si_pid, NULL, WNOHANG);
    }
}

static bool is_stopping(void)
{
    return poll(&(struct pollfd){ .fd = nbdkit_stop_fd(), .events = POLLIN }, 1, 0) > 0;
}

static bool is_zombie_of_ours(pid_t pid, struct proc_stat *stat)
{
    return proc_read_stat(pid, stat) == 0 && stat->state == 'Z' && stat->parent == getpid() &&
           !pids_has(&orphans.kept, pid);
}

/*
 * The server's own children, such as the command of --run, are in its group and
 * stop the server by their end, so it does not leave them zombies for long.
 * What does stay one there has been left by a script, and moved.
 */
static void look_behind_locked(int64_t now_ns)
{
    bool is_count = now_ns >= orphans.count_ns && !is_stopping();
    struct pids seen = { 0 };
    struct proc_stat stat;
    DIR *proc = opendir("/proc");
    pid_t pid;

    while (proc && (pid = proc_next(proc)) != 0) {
        if (!is_zombie_of_ours(pid, &stat))
            continue;
        if (stat.group != getpgrp() || (is_count && pids_has(&orphans.neglected, pid)))
            waitpid(pid, NULL, WNOHANG);
        else if (is_count)
            pids_add(&seen, pid);
    }
    if (proc)
        closedir(proc);
    if (!is_count)
        return;
    pids_clear(&orphans.neglected);
    orphans.neglected = seen;
    orphans.count_ns = now_ns + NEGLECT_NS;
}

static void reap_strangers_locked(void)
{
    pid_t blocker = reap_first_locked();
    int64_t now_ns = limits_read_clock();

    if (blocker != 0 && blocker == orphans.blocker && now_ns >= orphans.look_ns)
        look_behind_locked(now_ns);
    else if (blocker == orphans.blocker)
        return;
    orphans.blocker = blocker;
    orphans.look_ns = now_ns + LOOK_EACH_NS;
}

void orphans_reap(void)
{
    pthread_mutex_lock(&lock);
    reap_abandoned_locked();
    if (orphans.is_reaper && orphans.starting == 0)
        reap_strangers_locked();
    pthread_mutex_unlock(&lock);
}
