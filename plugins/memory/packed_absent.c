/* SPDX-License-Identifier: BSD-3-Clause */

/* In place of packed.c, in a build without zstd. */

#include "packed.h"

#include <errno.h>
#include <stddef.h>

bool packed_is_built(void)
{
    return false;
}

struct packed_bench *packed_take_bench(void)
{
    errno = ENOMEM;
    return NULL;
}

void packed_give_bench(struct packed_bench *bench)
{
    (void)bench;
}

void packed_free_benches(void)
{
}

char *packed_get_page(struct packed_bench *bench)
{
    (void)bench;
    return NULL;
}

void *packed_pack(struct packed_bench *bench)
{
    (void)bench;
    return NULL;
}

int packed_unpack(struct packed_bench *bench, const void *packed)
{
    (void)bench;
    (void)packed;
    return -1;
}
