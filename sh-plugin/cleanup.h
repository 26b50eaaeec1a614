/* SPDX-License-Identifier: BSD-3-Clause */
/* Frees a malloc'ed variable where its scope ends. Any thread; calls free(3) only. */
#ifndef CLEANUP_H
#define CLEANUP_H

#include <stdlib.h>

#define CLEANUP_FREE __attribute__((cleanup(cleanup_free_pointer)))

/* For CLEANUP_FREE: pointer is the address of the variable. */
static inline void cleanup_free_pointer(void *pointer)
{
    free(*(void **)pointer);
}

#endif
