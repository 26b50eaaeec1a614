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

#define PROGRAM_WORDS_MAX 5

/*
 * Stores the words that come before the method's name and arguments. Returns
 * their number, or 0 if there is nothing to run for this method.
 */
size_t program_get_words(const char *method, const char *words[PROGRAM_WORDS_MAX]);

/* True if the method is known to exist without running anything. */
bool program_is_defined(const char *method);

/* How messages call the script. */
const char *program_get_name(void);

#endif
