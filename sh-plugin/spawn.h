/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs a program once, feeds it, collects what it prints, and waits for its end. Any thread. */
#ifndef SPAWN_H
#define SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/types.h>

#include "buf.h"
#include "limits.h"

struct spawn_job {
    const char *const *argv;  /* argv[0] is a path; NULL ends it. Not looked at by spawn_attend */
    char *const *environment; /* nor this */
    const char *heading;      /* a string that stdin begins with; NULL for none */
    const void *input;        /* goes to stdin; NULL: that is /dev/null where there is no heading */
    size_t input_length;      /* bytes */
    struct buf *output;       /* takes stdout */
    struct buf *errors;       /* takes stderr */
};

/* A child, the leader of a process group, that has not been waited for. */
struct spawn_started {
    pid_t pid;
    int fds[3];  /* our ends of its stdin, stdout and stderr, which do not block; -1: none */
    int exit_fd; /* of exitfd_open() */
};

struct spawn_end {
    int wait_status; /* as of waitpid(2) */
    int64_t elapsed_ns;
    enum limits_cause cut; /* the limit that ended the call, or LIMITS_NONE */
    bool is_cut_by_child;  /* cut, but the program itself had exited: a child held its pipes */
};

/*
 * Runs the job in a process group of its own and fills end. Returns when the
 * program has exited and both its outputs are at end of file, or when a limit
 * of limits.h is over, after SIGTERM and SIGKILL to the program and the group.
 * Whether the program reads its input makes no difference. Returns 0, or an errno if it
 * could not be run. SIGPIPE must be ignored by the process.
 */
int spawn_run(const struct spawn_job *job, struct spawn_end *end);

/*
 * The same with a child that is there already: gives it the job's input, and
 * closes its descriptors in the end. The call began at start_ns.
 */
void spawn_attend(const struct spawn_job *job, const struct spawn_started *started,
                  int64_t start_ns, struct spawn_end *end);

/*
 * Starts a program in a process group of its own, with the `count` descriptors
 * as its 0, 1 and so on, /dev/null where one is -1, and no others. Stores its
 * id; whoever calls this tells orphans.h. Returns 0 or an errno.
 */
int spawn_start(const char *const *argv, char *const *environment, const int *fds, int count,
                pid_t *pid);

/* Signals a child that was started so and not waited for, and its process group. */
void spawn_signal(pid_t pid, int signal_number);

#endif
