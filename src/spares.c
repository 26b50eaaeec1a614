// SPDX-License-Identifier: BSD-3-Clause
/* Owns nothing but what it keeps. Entered by every thread of a session; calls nothing of ours. */
#include "spares.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Less is quick to allocate, and more is rare. */
enum { KEPT_MIN_BYTES = 32 * 1024, SPARE_BYTES = 2 * 1024 * 1024 };

static bool is_kept(size_t bytes)
{
#ifdef __SANITIZE_ADDRESS__
    return false && bytes; /* it looks after malloc(3)'s memory only */
#else
    return bytes >= KEPT_MIN_BYTES && bytes <= SPARE_BYTES;
#endif
}

static void *map_spare(void)
{
    void *memory =
        mmap(NULL, SPARE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

void *spares_take(struct spares *spares, size_t bytes)
{
    if (!is_kept(bytes))
        return malloc(bytes);
    for (int i = 0; i < SPARES_MAX; i++) {
        void *memory = atomic_exchange(&spares->kept[i], NULL);
        if (memory)
            return memory;
    }
    return map_spare();
}

void spares_give(struct spares *spares, void *memory, size_t bytes)
{
    if (!memory || !is_kept(bytes)) {
        free(memory);
        return;
    }
    for (int i = 0; i < SPARES_MAX; i++) {
        void *none = NULL;
        if (atomic_compare_exchange_strong(&spares->kept[i], &none, memory))
            return;
    }
    munmap(memory, SPARE_BYTES);
}

void spares_drop(struct spares *spares)
{
    for (int i = 0; i < SPARES_MAX; i++) {
        void *memory = atomic_exchange(&spares->kept[i], NULL);
        if (memory)
            munmap(memory, SPARE_BYTES);
    }
}
