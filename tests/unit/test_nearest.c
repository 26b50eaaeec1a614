/* SPDX-License-Identifier: BSD-3-Clause */
/* The module nearest: which plugin was meant. */
#include <stdio.h>
#include <string.h>

#include "../../src/nearest.h"

static char *const words[] = { "cc", "data", "eval", "file", "memory", "python", "sh", NULL };

static const struct {
    const char *word;
    const char *nearest;
} rows[] = {
    { "memry", "memory" },
    { "memmory", "memory" },
    { "memroy", "memory" },
    { "Memory", "memory" },
    { "fiel", "file" },
    { "pyhton", "python" },
    { "evla", "eval" },
    { "shh", "sh" },
    { "date", "data" },
    { "null", NULL },
    { "qcow2", NULL },
    { "", NULL },
    { "a-name-that-is-longer-than-any-plugin-has-and-than-the-table-which-is-of-64-letters", NULL },
};

int main(void)
{
    enum { COUNT = sizeof rows / sizeof *rows };
    int failures = 0;

    printf("1..%d\n", COUNT);
    for (int i = 0; i < COUNT; i++) {
        const char *found = nearest_find(rows[i].word, words);
        int is_ok = rows[i].nearest ? found && strcmp(found, rows[i].nearest) == 0 : !found;
        printf("%sok %d - '%s' (%s)\n", is_ok ? "" : "not ", i + 1, rows[i].word,
               found ? found : "none");
        failures += !is_ok;
    }
    return failures > 0;
}
