/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the sh and the eval plugin each define for the code that they share:
 * which program is run for a method. Set while the server is configured, then
 * only read, from any thread.
 */
#ifndef PROGRAM_H
#define PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

#include "shell.h"

#define PROGRAM_WORDS_MAX 5
#define PROGRAM_TEMPLATE_WORDS_MAX 48
#define PROGRAM_PREPARE_MAX 32 /* bytes */

/*
 * Stores the words that come before the method's name and arguments. Returns
 * their number, or 0 if there is nothing to run for this method.
 */
size_t program_get_words(const char *method, const char *words[PROGRAM_WORDS_MAX]);

/* True if the method is known to exist without running anything. */
bool program_is_defined(const char *method);

/* Does the script's text speak of pwrite, as far as that was looked at? */
bool program_mentions_pwrite(void);

/* Whether a template (template.h) can run the program. */
enum program_fitness {
    PROGRAM_FIT,
    PROGRAM_OTHER,   /* no: it names an interpreter that is none of SHELL_NAMES */
    PROGRAM_INVALID, /* no: running it will tell why */
};

/*
 * Looks at the program as it is now, and stores the shell of its template if it
 * is fit. One thread at a time.
 */
enum program_fitness program_find_shell(struct shell *shell);

/* The template's $0. */
const char *program_get_template_name(void);

/* Stores the template's arguments from $SHELL_FIRST_ARGUMENT on. Returns their number. */
size_t program_get_template_words(const char *words[PROGRAM_TEMPLATE_WORDS_MAX]);

/* The shell code that runs the program once its arguments are set. */
const char *program_get_template_run(void);

/*
 * Stores shell code for a method that goes before its arguments are set.
 * Returns false if there is nothing to run for it.
 */
bool program_get_prepare(const char *method, char prepare[PROGRAM_PREPARE_MAX]);

/* How messages call the script. */
const char *program_get_name(void);

#endif
