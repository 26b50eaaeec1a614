/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns the list of process groups that outlived their script. Any thread
 * enters it; the list has a lock of its own. Calls libc and nbdkit_error.
 *
 * The kernel does not give a process id to a new process while a group of that
 * number has members. So a group whose number is the id of a live process is
 * not the one that was remembered: that one is gone, and the number was reused.
 */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "groups.h"
#include "limits.h"

#define TERM_NS (1000 * LIMITS_NANOSECONDS_PER_MS) /* between SIGTERM and SIGKILL */
#define FIRST_PAUSE_NS (1 * LIMITS_NANOSECONDS_PER_MS)
#define LAST_PAUSE_NS (32 * LIMITS_NANOSECONDS_PER_MS)

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

static void signal_all_locked(int signal_number)
{
    for (size_t i = 0; i < count; i++)
        kill(-groups[i], signal_number);
}

/* True if the process, an entry of /proc, is in a remembered group and not dead. */
static bool is_live_member_locked(int proc_fd, const char *process)
{
    char path[32], text[512];
    char state;
    int group;

    if (!isdigit((unsigned char)*process) ||
        snprintf(path, sizeof(path), "%s/stat", process) >= (int)sizeof(path))
        return false;
    int fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t length = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[length < 0 ? 0 : length] = '\0';
    /* "PID (NAME) STATE PARENT GROUP ...", and NAME may be anything. */
    const char *rest = strrchr(text, ')');
    if (rest == NULL || sscanf(rest, ") %c %*d %d", &state, &group) != 2 ||
        strchr("ZX", state) != NULL)
        return false;
    for (size_t i = 0; i < count; i++)
        if (groups[i] == group)
            return true;
    return false;
}

/*
 * True if a member of a remembered group still runs. Where process 1 does not
 * wait for orphans, the groups of zombies never vanish, so kill(2) cannot tell.
 */
static bool is_any_running_locked(void)
{
    bool is_running = false;

    prune_locked();
    DIR *proc = count == 0 ? NULL : opendir("/proc");
    if (proc == NULL)
        return count > 0;
    for (struct dirent *entry; !is_running && (entry = readdir(proc)) != NULL;)
        is_running = is_live_member_locked(dirfd(proc), entry->d_name);
    closedir(proc);
    return is_running;
}

static void wait_until_gone_locked(int64_t deadline_ns)
{
    struct timespec pause = { .tv_nsec = FIRST_PAUSE_NS };

    while (is_any_running_locked() && limits_read_clock() < deadline_ns) {
        nanosleep(&pause, NULL);
        if (pause.tv_nsec < LAST_PAUSE_NS)
            pause.tv_nsec *= 2;
    }
}

void groups_end_all(bool is_abrupt)
{
    pthread_mutex_lock(&lock);
    prune_locked();
    if (!is_abrupt) {
        signal_all_locked(SIGTERM);
        signal_all_locked(SIGCONT);
        wait_until_gone_locked(limits_read_clock() + TERM_NS);
    }
    signal_all_locked(SIGKILL);
    free(groups);
    groups = NULL;
    count = capacity = 0;
    pthread_mutex_unlock(&lock);
}
