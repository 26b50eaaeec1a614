/* SPDX-License-Identifier: BSD-3-Clause */

#ifndef MEMORY_PACKED_H
#define MEMORY_PACKED_H

#include <stdbool.h>

enum { PACKED_PAGE_BYTES = 65536 };

/* Room for one page that is being packed or unpacked, and what zstd needs for that. */
struct packed_bench;

/* True if the plugin was built with zstd; if not (packed_absent.c), packed_take_bench always fails,
 * and no function that needs a bench can be called. */
bool packed_is_built(void);

/* Returns a bench that no other thread has, or NULL with errno ENOMEM. packed_give_bench keeps it
 * for the next call; packed_free_benches frees those, when no thread is in here. */
struct packed_bench *packed_take_bench(void);
void packed_give_bench(struct packed_bench *bench);
void packed_free_benches(void);

/* The page on the bench: PACKED_PAGE_BYTES, to be read and written. */
char *packed_get_page(struct packed_bench *bench);

/* Returns what the page on the bench takes when it is compressed, to be freed with free(3); or NULL
 * with errno ENOMEM. packed_unpack puts it on a bench again: returns 0, or -1 with errno EIO. */
void *packed_pack(struct packed_bench *bench);
int packed_unpack(struct packed_bench *bench, const void *packed);

#endif
