/* SPDX-License-Identifier: BSD-3-Clause */

/* Pages compressed with zstd. Owns the benches that no thread uses. Any number of request threads
 * are in here at a time; it calls libc and libzstd alone. */

#define _GNU_SOURCE 1

#include "packed.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

enum { LEVEL = 1 }; /* the quickest; the others gain little in pages of this size */

struct packed {
    size_t size_bytes;
    char data[];
};

struct packed_bench {
    struct packed_bench *next;
    ZSTD_CCtx *compressor;
    ZSTD_DCtx *decompressor;
    char page[PACKED_PAGE_BYTES];
    char output[ZSTD_COMPRESSBOUND(PACKED_PAGE_BYTES)];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct packed_bench *benches; /* under the lock */

bool packed_is_built(void)
{
    return true;
}

static void free_bench(struct packed_bench *bench)
{
    ZSTD_freeCCtx(bench->compressor);
    ZSTD_freeDCtx(bench->decompressor);
    free(bench);
}

static struct packed_bench *make_bench(void)
{
    struct packed_bench *bench = malloc(sizeof *bench);

    if (bench == NULL)
        return NULL;
    bench->compressor = ZSTD_createCCtx();
    bench->decompressor = ZSTD_createDCtx();
    if (bench->compressor != NULL && bench->decompressor != NULL)
        return bench;
    free_bench(bench);
    errno = ENOMEM;
    return NULL;
}

struct packed_bench *packed_take_bench(void)
{
    pthread_mutex_lock(&lock);
    struct packed_bench *bench = benches;
    if (bench != NULL)
        benches = bench->next;
    pthread_mutex_unlock(&lock);
    return bench != NULL ? bench : make_bench();
}

void packed_give_bench(struct packed_bench *bench)
{
    pthread_mutex_lock(&lock);
    bench->next = benches;
    benches = bench;
    pthread_mutex_unlock(&lock);
}

void packed_free_benches(void)
{
    while (benches != NULL) {
        struct packed_bench *bench = benches;

        benches = bench->next;
        free_bench(bench);
    }
}

char *packed_get_page(struct packed_bench *bench)
{
    return bench->page;
}

void *packed_pack(struct packed_bench *bench)
{
    size_t size_bytes = ZSTD_compressCCtx(bench->compressor, bench->output, sizeof bench->output,
                                          bench->page, sizeof bench->page, LEVEL);
    /* The one error that a large enough output leaves is a lack of memory. */
    struct packed *packed = ZSTD_isError(size_bytes) ? NULL : malloc(sizeof *packed + size_bytes);

    if (packed == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    packed->size_bytes = size_bytes;
    memcpy(packed->data, bench->output, size_bytes);
    return packed;
}

int packed_unpack(struct packed_bench *bench, const void *packed_page)
{
    const struct packed *packed = packed_page;
    size_t size_bytes = ZSTD_decompressDCtx(bench->decompressor, bench->page, sizeof bench->page,
                                            packed->data, packed->size_bytes);

    if (size_bytes == sizeof bench->page)
        return 0;
    errno = EIO;
    return -1;
}
