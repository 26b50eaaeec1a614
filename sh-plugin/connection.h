/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A client's connection, from open to close. Its members change only during
 * the handshake, which asks for one capability after another.
 */
#ifndef CONNECTION_H
#define CONNECTION_H

#include <stdint.h>

#define CONNECTION_NOT_ASKED (-1)

struct map;

struct connection {
    struct map *map; /* owned; NULL if there is none */

    /* The script's answers, or CONNECTION_NOT_ASKED; on them other defaults and the map depend. */
    int64_t size_bytes;
    int can_write;
    int can_flush;
    int can_trim;
    int can_zero;
    int can_fast_zero;
    int can_extents;
    int can_fua;            /* NBDKIT_FUA_* */
    int can_cache;          /* NBDKIT_CACHE_* */
    uint32_t block_maximum; /* bytes; 0 if not known */

    char handle[]; /* what open printed */
};

#endif
