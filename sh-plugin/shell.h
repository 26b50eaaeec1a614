/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The shells that can be a template (see template.h), and the shell code that
 * one is given. Pure: any thread; no locks.
 *
 * A template runs shell_format_loop(): it reads orders, one a line. Each makes
 * it fork an intermediate process, and that one as many subshells as the order
 * names. A subshell opens the FIFOs "<number>i", "<number>o" and "<number>e" of
 * the private folder as its descriptors 0 to 2, says "NUMBER PID" on the
 * template's descriptor 3, with or without a folder before the PID, and waits
 * for its job, one line from its stdin. The intermediate process ends by a
 * signal only. When it is gone, the template says "done".
 */
#ifndef SHELL_H
#define SHELL_H

#include <stdbool.h>
#include <stddef.h>

#define SHELL_WORD_MAX 256 /* bytes with the NUL; a #! line is no longer */
#define SHELL_REPORT_FD 3
#define SHELL_BATCH_MAX 16 /* subshells in one order */

struct shell {
    const struct shell_kind *kind;
    char interpreter[SHELL_WORD_MAX]; /* a path */
    char name[SHELL_WORD_MAX];        /* where that is env: the shell's name; else empty */
    char flags[SHELL_WORD_MAX];       /* for the shell itself, as "-f"; or empty */
    char options[SHELL_WORD_MAX];     /* for set, as "-eu"; or empty */
};

#define SHELL_NAMES "sh, dash, bash, ksh or zsh"

/*
 * Reads line, a script's first without its newline, which begins with "#!".
 * Returns 0, or -1 if what it names cannot be a template.
 */
int shell_read_line(const char *line, struct shell *shell);

/* The shell of scripts without such a line, and of fragments. */
void shell_set_default(struct shell *shell);

bool shell_is_same(const struct shell *a, const struct shell *b);

/*
 * The template's program: it runs what it has in a variable of its environment,
 * since ps(1) shows arguments once more for each subshell. Its own are a newline;
 * the folder of the FIFOs; what shell_format_tail() makes; and what the program
 * asks for.
 */
#define SHELL_LOOP "nbdlab_loop"
#define SHELL_PROGRAM "eval \"$" SHELL_LOOP "\""

/* The variable, as "NAME=VALUE"; malloc'ed, or NULL. */
char *shell_format_loop(const struct shell *shell);
#define SHELL_FIRST_ARGUMENT 4 /* of the program */

/* How subshells go on with `run` when their arguments are set. malloc'ed, or NULL. */
char *shell_format_tail(const struct shell *shell, const char *run);

/*
 * The order for subshells first to first + count - 1, with its newline. count is
 * a power of two up to SHELL_BATCH_MAX. malloc'ed, or NULL.
 */
char *shell_format_order(unsigned long first, unsigned count);

/*
 * The job of a subshell, with its newline: `prepare`, arguments, and whether its
 * stdin is to be /dev/null rather than what follows the job. malloc'ed, or NULL.
 */
char *shell_format_job(const char *prepare, const char *const *arguments, bool has_input);

#endif
