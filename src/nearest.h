/* SPDX-License-Identifier: BSD-3-Clause */
/* Guesses which word was meant by one that is not known. Pure; any thread. */
#ifndef NEAREST_H
#define NEAREST_H

/*
 * The one of `words`, up to a NULL, that becomes `word` by the fewest letters
 * added, removed or changed, a third of them at most; or NULL.
 */
const char *nearest_find(const char *word, char *const *words);

#endif
