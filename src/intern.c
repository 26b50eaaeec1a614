// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns lists of strings. Entered by any thread that serves a callback; calls
 * nothing of ours.
 */
#include "intern.h"

#include <stdlib.h>

#include "cleanup.h"

struct intern_entry {
    struct intern_entry *next;
    char *string;
};

const char *intern_keep(struct intern *intern, char *string)
{
    struct intern_entry *entry = malloc(sizeof *entry);

    if (!entry) {
        free(string);
        return NULL;
    }
    LOCK_SCOPE(&intern->lock);
    entry->string = string;
    entry->next = intern->entries;
    intern->entries = entry;
    return string;
}

void intern_free(struct intern *intern)
{
    while (intern->entries) {
        struct intern_entry *entry = intern->entries;
        intern->entries = entry->next;
        free(entry->string);
        free(entry);
    }
}
