/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Strings that live as long as a connection, or as the loaded plugin: what
 * nbdkit_strdup_intern() and its family return.
 */
#ifndef INTERN_H
#define INTERN_H

#include <pthread.h>

struct intern_entry;

struct intern {
    pthread_mutex_t lock;
    struct intern_entry *entries; /* under lock */
};

#define INTERN_INITIALISER                                                                         \
    {                                                                                              \
        PTHREAD_MUTEX_INITIALIZER, NULL                                                            \
    }

/* Takes over `string`, from malloc(3), and returns it; NULL with errno, and string freed. */
const char *intern_keep(struct intern *intern, char *string);

/* Frees every string. Nobody else may be in a call on `intern`. */
void intern_free(struct intern *intern);

#endif
