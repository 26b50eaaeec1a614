/* SPDX-License-Identifier: BSD-3-Clause */
/* What /proc says of processes, and signalling one that is not a child. Any thread; no locks. */
#ifndef PROC_H
#define PROC_H

#include <dirent.h>
#include <stdbool.h>
#include <sys/types.h>

struct proc_stat {
    char state; /* 'Z' for a zombie; see proc(5) */
    pid_t parent;
    pid_t group;
};

/* Returns 0, or -1 if there is no such process, or no /proc. */
int proc_read_stat(pid_t pid, struct proc_stat *stat);

/* The next process in "/proc", as opendir(3) opened it; 0 at the end. */
pid_t proc_next(DIR *proc);

/*
 * A pidfd, or -1 where the kernel has none. While it is open, proc_signal()
 * signals this process and none that got its id later. The caller closes it.
 */
int proc_open(pid_t pid);

/* Signals a process. `fd` is what proc_open() returned: where that is -1, the id alone decides. */
void proc_signal(int fd, pid_t pid, int signal_number);

#endif
