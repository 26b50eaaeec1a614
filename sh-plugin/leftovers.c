// SPDX-License-Identifier: BSD-3-Clause
/*
 * Finds processes in /proc. Owns nothing; entered by the thread that unloads
 * the plugin, and by the warden. Calls groups, limits and proc.
 *
 * A script's children inherit its process group and its environment. A daemon
 * leaves the group, a careful one clears its environment; hardly one does both.
 */
#include "leftovers.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "groups.h"
#include "limits.h"
#include "proc.h"

#define TERM_NS (1000 * LIMITS_NANOSECONDS_PER_MS) /* between SIGTERM and SIGKILL */
#define FIRST_PAUSE_NS (1 * LIMITS_NANOSECONDS_PER_MS)
#define LAST_PAUSE_NS (32 * LIMITS_NANOSECONDS_PER_MS)
#define KILL_ROUNDS 3              /* more would wait for processes that the kernel cannot kill */
#define FILE_MAX (4 * 1024 * 1024) /* bytes; an environment has 2 MiB at the most */

/* Returns 0, or -1 if it is not there or not for us. */
static int read_environment(pid_t pid, struct buf *content)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t count;
    do
        count = buf_read_fd(content, fd);
    while (count > 0);
    close(fd);
    return count < 0 ? -1 : 0;
}

static bool has_variable(pid_t pid, const char *variable)
{
    BUF_GROWING(content, FILE_MAX);

    if (read_environment(pid, &content) < 0)
        return false;
    const char *text = buf_get_text(&content);
    for (size_t at = 0; at < content.length; at += strlen(text + at) + 1)
        if (strcmp(text + at, variable) == 0)
            return true;
    return false;
}

static bool is_leftover(pid_t pid, const char *variable)
{
    struct proc_stat stat;

    return proc_read_stat(pid, &stat) == 0 && !strchr("ZX", stat.state) &&
           (groups_is_remembered(stat.group) || has_variable(pid, variable));
}

/* Signals the process if it is one. */
static bool signal_if_leftover(pid_t pid, const char *variable, int signal_number)
{
    int fd = proc_open(pid);
    bool is_one = is_leftover(pid, variable);

    if (is_one && signal_number != 0) {
        proc_signal(fd, pid, signal_number);
        if (signal_number != SIGKILL)
            proc_signal(fd, pid, SIGCONT);
    }
    if (fd >= 0)
        close(fd);
    return is_one;
}

/* Sends the signal, 0 for none, to all leftovers. Returns how many there are. */
static unsigned signal_all(const char *variable, int signal_number)
{
    DIR *proc = opendir("/proc");
    unsigned count = 0;
    pid_t pid;

    while (proc && (pid = proc_next(proc)) != 0)
        if (pid != getpid())
            count += signal_if_leftover(pid, variable, signal_number);
    if (proc)
        closedir(proc);
    return count;
}

static void wait_until_gone(const char *variable)
{
    int64_t deadline_ns = limits_read_clock() + TERM_NS;
    struct timespec pause = { .tv_nsec = FIRST_PAUSE_NS };

    while (signal_all(variable, 0) > 0 && limits_read_clock() < deadline_ns) {
        nanosleep(&pause, NULL);
        if (pause.tv_nsec < LAST_PAUSE_NS)
            pause.tv_nsec *= 2;
    }
}

void leftovers_end(const char *variable, bool is_abrupt)
{
    if (!is_abrupt && signal_all(variable, SIGTERM) > 0)
        wait_until_gone(variable);
    /* One that is being killed may have forked a moment before: look again. */
    for (int round = 0; round < KILL_ROUNDS && signal_all(variable, SIGKILL) > 0; round++)
        wait_until_gone(variable);
}
