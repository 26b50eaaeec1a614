/* SPDX-License-Identifier: BSD-3-Clause */

#ifndef MEMORY_PAGES_H
#define MEMORY_PAGES_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct pages_node;

struct pages_lock {
    pthread_rwlock_t rwlock;
} __attribute__((aligned(64))); /* a cache line each, so that threads do not share one */

#define PAGES_LOCK_COUNT 64

enum pages_kind {
    PAGES_SPARSE, /* a page takes memory once it is written */
    PAGES_WHOLE,  /* one piece of address space for all of it */
    PAGES_PACKED, /* as sparse, each page compressed; needs packed_is_built() */
};

/* A byte array of up to 2^63-1 bytes that reads as zeroes until it is written. Memory is taken as
 * its kind says. Calls for different pages
 * run in parallel; a call that spans pages is not atomic as a whole. */
struct pages {
    uint64_t size_bytes;     /* fixed once created, as are the next three */
    unsigned level_count;    /* of the tree */
    bool is_packed;          /* a slot of a leaf is what packed_pack made */
    char *whole;             /* the one mapping of a whole array; NULL if the tree is used */
    struct pages_node *root; /* an inner slot is filled once, atomically; a leaf's slot
                              * changes under the lock of its page */
    struct pages_lock locks[PAGES_LOCK_COUNT]; /* page i has locks[i % PAGES_LOCK_COUNT] */
};

/* Makes an empty array of size_bytes. Returns 0, or -1 with errno ENOMEM; then nothing is to be
 * destroyed. Not to be called while another thread uses the array. */
int pages_create(struct pages *pages, uint64_t size_bytes, enum pages_kind kind);

/* Takes all memory of a whole array, and keeps it from being swapped out, in this process alone:
 * not in a child. Returns 0, or -1 with errno. */
int pages_lock_memory(struct pages *pages);

/* Gives all memory back. No other thread may be using the array. */
void pages_destroy(struct pages *pages);

/* Each of these takes the locks it needs; count_bytes from offset must lie inside the array.
 * Returns 0; or -1 with errno ENOMEM, or EIO if memory was damaged: only a packed array's read can
 * fail. */
int pages_read(struct pages *pages, void *buffer, uint32_t count_bytes, uint64_t offset);

/* Returns 0, or -1 with errno as above; then what precedes the failing page is written. */
int pages_write(struct pages *pages, const void *buffer, uint32_t count_bytes, uint64_t offset);

/* Makes the range read as zeroes. With may_free, pages that lie in it wholly are given back and
 * nothing is allocated: that cannot fail unless it is packed. Without, all of its pages are
 * allocated afterwards. Returns 0, or -1 with errno as above. */
int pages_clear(struct pages *pages, uint32_t count_bytes, uint64_t offset, bool may_free);

/* Tells whether offset, which lies inside the array and before end, is allocated, and stores in
 * *length_bytes for how many bytes, to end at most, that stays so. */
bool pages_find_extent(struct pages *pages, uint64_t offset, uint64_t end, uint64_t *length_bytes);

#endif
