// SPDX-License-Identifier: BSD-3-Clause
/* Owns nothing; calls libc only. Any thread. */
#include "proc.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

enum { STAT_MAX_BYTES = 1024 };

/* The file has the form "PID (NAME) STATE PARENT GROUP ...", and NAME may be anything. */
int proc_read_stat(pid_t pid, struct proc_stat *stat)
{
    char path[64];
    char line[STAT_MAX_BYTES];
    int parent;
    int group;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, line, sizeof line - 1);
    if (fd >= 0)
        close(fd);
    line[length < 0 ? 0 : length] = '\0';
    const char *rest = strrchr(line, ')');
    if (!rest || sscanf(rest, ") %c %d %d", &stat->state, &parent, &group) != 3)
        return -1;
    stat->parent = parent;
    stat->group = group;
    return 0;
}

pid_t proc_next(DIR *proc)
{
    struct dirent *entry;

    while ((entry = readdir(proc)))
        if (isdigit((unsigned char)*entry->d_name))
            return atoi(entry->d_name);
    return 0;
}

int proc_open(pid_t pid)
{
    return pidfd_open(pid, 0);
}

/* The two calls for pidfds are of different age, and either may be forbidden. */
void proc_signal(int fd, pid_t pid, int signal_number)
{
    if (fd < 0 || (pidfd_send_signal(fd, signal_number, NULL, 0) < 0 && errno != ESRCH))
        kill(pid, signal_number);
}
