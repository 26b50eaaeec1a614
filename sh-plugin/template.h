/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The template: a resident shell, which has started up and forks a subshell
 * for each call, ahead of it. One thread at a time (the pool's); no locks.
 *
 * A subshell becomes a child of the server when the intermediate process that
 * forked it is killed, for the server is a subreaper. So it is put into a
 * process group of its own, waited for and ended like a script that the server
 * has started itself.
 */
#ifndef TEMPLATE_H
#define TEMPLATE_H

#include <stdbool.h>

#include "shell.h"
#include "spawn.h"

#define TEMPLATE_BATCH_MAX SHELL_BATCH_MAX

/*
 * Starts the template, of which there is none now; it forks nothing yet.
 * Returns 0 or an errno.
 */
int template_start(const struct shell *shell);

/* Ends the template and subshells that were not taken over. Returns its wait status, or -1. */
int template_stop(void);

/* True from template_start to template_stop. */
bool template_is_there(void);

/* Descriptors to poll: it has something to say; it has ended. -1 if there is none. */
int template_get_report_fd(void);
int template_get_exit_fd(void);

/* Orders subshells, a power of two of them. Not while it is busy. Returns 0 or an errno. */
int template_order(unsigned count);

/* Subshells that are on order. */
unsigned template_count_ordered(void);

/* True until all that was ordered has come, or failed. */
bool template_is_busy(void);

/*
 * Reads what the template says. Stores subshells that are ready, which are the
 * caller's from now on, and returns their number; or returns -1 if the shell
 * does not do what a template has to.
 */
int template_collect(struct spawn_started ready[TEMPLATE_BATCH_MAX]);

/* Lets it go on, if a script has stopped it: in a subshell, $$ is its id. */
void template_continue(void);

/* Ends a subshell that is not needed. */
void template_discard(struct spawn_started *subshell);

#endif
