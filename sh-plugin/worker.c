/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One call in a subshell. Owns nothing; any thread enters it. Calls pool, shell,
 * template, program and spawn.
 */
#include "cleanup.h"
#include "limits.h"
#include "pool.h"
#include "program.h"
#include "shell.h"
#include "template.h"
#include "worker.h"

bool worker_run(const char *method, const char *const *arguments, const struct spawn_job *job,
                struct spawn_end *end)
{
    int64_t start_ns = limits_read_clock();
    char prepare[PROGRAM_PREPARE_MAX];
    struct spawn_started subshell;

    if (!program_get_prepare(method, prepare))
        return false;
    if (!pool_take(start_ns, &subshell))
        return false;
    CLEANUP_FREE char *heading = shell_format_job(prepare, arguments, job->input != NULL);
    if (heading == NULL) {
        template_discard(&subshell);
    } else {
        struct spawn_job with_heading = *job;
        with_heading.heading = heading;
        spawn_attend(&with_heading, &subshell, start_ns, end);
    }
    pool_note_end();
    return heading != NULL;
}
