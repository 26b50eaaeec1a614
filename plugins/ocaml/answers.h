/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Decoders for call_run(), one for each kind of what callbacks return. What
 * cannot be is an error.
 */
#ifndef ANSWERS_H
#define ANSWERS_H

#include <stdint.h>

#include <caml/mlvalues.h>

/* A bool, or the number of a constructor. */
int64_t answer_choice(value result, void *unused);

/* The size of the disk in bytes. */
int64_t answer_size(value result, void *unused);

/* The handle: `answer` is a value **, which gets memory with a root of OCaml's in it. */
int64_t answer_handle(value result, void *answer);

/* A string that the server keeps: `answer` is a const char **. */
int64_t answer_text(value result, void *answer);

struct block_sizes {
    uint32_t *minimum;
    uint32_t *preferred;
    uint32_t *maximum;
};

/* `answer` is a struct block_sizes *. */
int64_t answer_block_size(value result, void *answer);

/* `answer` is a struct nbdkit_extents *, or a struct nbdkit_exports *. */
int64_t answer_extents(value result, void *answer);
int64_t answer_exports(value result, void *answer);

#endif
