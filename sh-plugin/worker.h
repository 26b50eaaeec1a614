/* SPDX-License-Identifier: BSD-3-Clause */
/* One call of the script in a subshell of the pool. Any thread; no locks. */
#ifndef WORKER_H
#define WORKER_H

#include <stdbool.h>

#include "spawn.h"

/*
 * Does in a subshell what spawn_run does, with the arguments from the method
 * on. Returns false if there is no subshell for it, and nothing was run.
 */
bool worker_run(const char *method, const char *const *arguments, const struct spawn_job *job,
                struct spawn_end *end);

#endif
