// SPDX-License-Identifier: BSD-3-Clause
/* The distance between words. Pure: any thread enters it, and it calls libc only. */
#include "nearest.h"

#include <stddef.h>
#include <string.h>

enum { WORD_MAX = 64, TOO_FAR = WORD_MAX };

static int min(int a, int b)
{
    return a < b ? a : b;
}

/* Levenshtein's distance, a row of his table at a time. */
static int measure(const char *from, const char *to)
{
    int row[WORD_MAX + 1];
    size_t length = strlen(to);

    if (length > WORD_MAX || strlen(from) > WORD_MAX)
        return TOO_FAR;
    for (size_t i = 0; i <= length; i++)
        row[i] = (int)i;
    for (; *from; from++) {
        int diagonal = row[0]++;
        for (size_t i = 0; i < length; i++) {
            int changed = diagonal + (*from != to[i]);
            diagonal = row[i + 1];
            row[i + 1] = min(changed, 1 + min(diagonal, row[i]));
        }
    }
    return row[length];
}

const char *nearest_find(const char *word, char *const *words)
{
    const char *found = NULL;
    int best = (int)(strlen(word) + 2) / 3 + 1;

    for (; words && *words; words++) {
        int distance = measure(word, *words);
        if (distance < best) {
            best = distance;
            found = *words;
        }
    }
    return found;
}
