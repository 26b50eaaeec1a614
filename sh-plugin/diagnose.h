/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Explains to the user why a call of the script failed: one line that says
 * what was wrong and what to do. Any thread; no locks.
 */
#ifndef DIAGNOSE_H
#define DIAGNOSE_H

#include "buf.h"
#include "spawn.h"
#include "status.h"

/* A call that is over. The report and what it points at are the caller's. */
struct diagnose_report {
    const char *method;
    const struct buf *output; /* what it printed, */
    const struct buf *errors; /* and on stderr */
    const struct spawn_end *end;
};

/* The -v line of a call, and what it wrote to stderr though it succeeded. */
void diagnose_trace_call(const struct diagnose_report *report, const char *const *argv);

/* The end of a message that quotes stderr, for free(3); NULL if there is nothing to quote. */
char *diagnose_quote_errors(const struct buf *errors);

/* Logs that the call was ended by sh.timeout or by the server's stop. Returns its errno. */
int diagnose_log_cut(const struct diagnose_report *report);

/* Logs that the program could not be run. */
void diagnose_log_exec(const char *method, int errno_value);

/* Logs that a call ended with an error status, or by a signal. */
void diagnose_log_failure(const struct diagnose_report *report);

/* Logs exit status 3 from a method that is not a question. */
void diagnose_log_false(const struct diagnose_report *report);

/* Logs that there is no such method, though there must be one, as the hint explains. */
void diagnose_log_missing(const struct diagnose_report *report, const char *hint);

/*
 * Exit status 2 of a method that need not be there. Warns if it said
 * something, once for each method, whose name is a constant; but not while
 * each method that is not there does, as where a script writes "no such
 * method", or a shell that the locale is unknown.
 */
void diagnose_warn_missing(const struct diagnose_report *report);

/* Logs exit status 2 that came from the shell, not from the script. */
void diagnose_log_complaint(const struct diagnose_report *report);

#endif
