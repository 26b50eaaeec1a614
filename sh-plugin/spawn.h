/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs a program once, feeds it, collects what it prints, and waits for its end. Any thread. */
#ifndef SPAWN_H
#define SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "limits.h"

struct spawn_job {
    const char *const *argv; /* argv[0] is a path; NULL ends it */
    char *const *environment;
    const void *input; /* NULL: stdin is /dev/null */
    size_t input_length;
    struct buf *output; /* takes stdout */
    struct buf *errors; /* takes stderr */
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
 * of limits.h is over, after SIGTERM and SIGKILL to the group. Whether the
 * program reads its input makes no difference. Returns 0, or an errno if it
 * could not be run. SIGPIPE must be ignored by the process.
 */
int spawn_run(const struct spawn_job *job, struct spawn_end *end);

#endif
