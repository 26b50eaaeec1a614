/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory for the data of large requests, some of it kept for the next ones:
 * fresh pages would cost a connection about as much as copying to them.
 */
#ifndef SPARES_H
#define SPARES_H

#include <stdatomic.h>
#include <stddef.h>

enum { SPARES_MAX = 4 };

/* Of one connection, whose clients see no other's data in it. Any thread; zeroes at first. */
struct spares {
    _Atomic(void *) kept[SPARES_MAX];
};

/* Returns memory for `bytes`, of undefined content, or NULL. */
void *spares_take(struct spares *spares, size_t bytes);

/* Takes it back, or NULL; `bytes` as in spares_take(). */
void spares_give(struct spares *spares, void *memory, size_t bytes);

/* Frees what is kept. */
void spares_drop(struct spares *spares);

#endif
