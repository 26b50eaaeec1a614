/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Scope-bound resources: a variable that carries one of these attributes is
 * released where its scope ends, on every path.
 */
#ifndef CLEANUP_H
#define CLEANUP_H

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP_FREE __attribute__((__cleanup__(cleanup_free)))
#define CLEANUP_CLOSE __attribute__((__cleanup__(cleanup_close)))
#define CLEANUP_UNLOCK __attribute__((__cleanup__(cleanup_unlock)))

/* Holds `mutex` to the end of the scope. One use per scope. */
#define LOCK_SCOPE(mutex)                                                                          \
    CLEANUP_UNLOCK pthread_mutex_t *locked_mutex_ = (mutex);                                       \
    pthread_mutex_lock(locked_mutex_)

static inline void cleanup_free(void *pointer)
{
    free(*(void **)pointer);
}

static inline void cleanup_close(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static inline void cleanup_unlock(pthread_mutex_t **mutex)
{
    pthread_mutex_unlock(*mutex);
}

#endif
