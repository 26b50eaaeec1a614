/* SPDX-License-Identifier: BSD-3-Clause */

/* The memory of a disk: a tree of pages that grows where it is written.
 * Any number of request threads are in here at a time; it calls libc and packed. */

#define _GNU_SOURCE 1

#include "pages.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "packed.h"

#define PAGE_BYTES 65536u
_Static_assert(PAGE_BYTES == PACKED_PAGE_BYTES, "a packed page is one page");
#define NODE_BITS 10
#define NODE_SLOTS (1u << NODE_BITS)

/* In a leaf, level 0, a slot is a page, elsewhere it is the node below. Nodes live as long as the
 * array, so that lookups need no lock; an emptied one costs 8 KiB per 64 MiB. */
struct pages_node {
    _Atomic(void *) slots[NODE_SLOTS];
};

/* The part of a request that lies in one page. */
struct span {
    uint64_t index;
    uint32_t start_bytes;
    uint32_t length_bytes;
    bool is_all; /* all of the page that lies inside the array */
};

static struct span span_first(const struct pages *pages, uint64_t count_bytes, uint64_t offset)
{
    struct span span = { .index = offset / PAGE_BYTES, .start_bytes = offset % PAGE_BYTES };
    uint32_t room_bytes = PAGE_BYTES - span.start_bytes;

    span.length_bytes = count_bytes < room_bytes ? (uint32_t)count_bytes : room_bytes;
    span.is_all = span.start_bytes == 0 && (span.length_bytes == PAGE_BYTES ||
                                            offset + span.length_bytes == pages->size_bytes);
    return span;
}

static pthread_rwlock_t *lock_of_page(struct pages *pages, uint64_t index)
{
    return &pages->locks[index % PAGES_LOCK_COUNT].rwlock;
}

static struct pages_node *add_node(_Atomic(void *) *slot)
{
    void *expected = NULL;
    struct pages_node *node = calloc(1, sizeof *node);

    if (node == NULL)
        return NULL;
    if (atomic_compare_exchange_strong(slot, &expected, node))
        return node;
    free(node); /* another thread was here first */
    return expected;
}

/* Returns the slot of a page, or NULL if its leaf is missing and, when asked to, cannot be made. */
static _Atomic(void *) *find_slot(struct pages *pages, uint64_t index, bool must_add)
{
    struct pages_node *node = pages->root;

    for (unsigned level = pages->level_count - 1; level > 0; level--) {
        _Atomic(void *) *slot = &node->slots[(index >> (level * NODE_BITS)) % NODE_SLOTS];

        node = atomic_load_explicit(slot, memory_order_acquire);
        if (node == NULL && must_add)
            node = add_node(slot);
        if (node == NULL)
            return NULL;
    }
    return &node->slots[index % NODE_SLOTS];
}

static char *find_page(struct pages *pages, uint64_t index)
{
    if (pages->whole != NULL)
        return pages->whole + index * PAGE_BYTES;

    _Atomic(void *) *slot = find_slot(pages, index, false);

    return slot == NULL ? NULL : atomic_load_explicit(slot, memory_order_relaxed);
}

/* The page of the span, made if it is missing; the caller holds its lock for writing. What the
 * span covers is left as it comes from malloc when the caller is going to overwrite it all. */
static char *find_or_add_page(struct pages *pages, const struct span *span, bool will_overwrite)
{
    char *page = find_page(pages, span->index);

    if (page != NULL)
        return page;

    _Atomic(void *) *slot = find_slot(pages, span->index, true);

    if (slot == NULL)
        return NULL;
    page = will_overwrite && span->is_all ? malloc(PAGE_BYTES) : calloc(1, PAGE_BYTES);
    atomic_store_explicit(slot, page, memory_order_relaxed);
    return page;
}

static void drop_page(struct pages *pages, uint64_t index)
{
    free(atomic_exchange_explicit(find_slot(pages, index, false), NULL, memory_order_relaxed));
}

/* Where the next leaf begins if the leaf of offset is missing, else offset itself: lets a walk
 * over a large hole go 64 MiB at a step. */
static uint64_t skip_missing_leaf(struct pages *pages, uint64_t offset)
{
    const uint64_t leaf_bytes = (uint64_t)NODE_SLOTS * PAGE_BYTES;

    if (pages->whole != NULL || find_slot(pages, offset / PAGE_BYTES, false) != NULL)
        return offset;
    return (offset / leaf_bytes + 1) * leaf_bytes;
}

static size_t size_of_whole(const struct pages *pages)
{
    return (pages->size_bytes / PAGE_BYTES + 1) * PAGE_BYTES;
}

int pages_create(struct pages *pages, uint64_t size_bytes, enum pages_kind kind)
{
    uint64_t page_count = size_bytes / PAGE_BYTES + 1;

    *pages = (struct pages){
        .size_bytes = size_bytes,
        .level_count = 1,
        .is_packed = kind == PAGES_PACKED,
    };
    while (page_count >> (pages->level_count * NODE_BITS) != 0)
        pages->level_count++;
    if (kind == PAGES_WHOLE) {
        pages->whole = mmap(NULL, size_of_whole(pages), PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (pages->whole == MAP_FAILED)
            return -1;
    } else {
        pages->root = calloc(1, sizeof *pages->root);
        if (pages->root == NULL)
            return -1;
    }
    for (unsigned i = 0; i < PAGES_LOCK_COUNT; i++)
        pthread_rwlock_init(&pages->locks[i].rwlock, NULL);
    return 0;
}

int pages_lock_memory(struct pages *pages)
{
    return mlock(pages->whole, size_of_whole(pages));
}

static void free_node(struct pages_node *node, unsigned level)
{
    for (unsigned i = 0; i < NODE_SLOTS; i++) {
        void *below = atomic_load_explicit(&node->slots[i], memory_order_relaxed);

        if (level > 0 && below != NULL)
            free_node(below, level - 1);
        else
            free(below);
    }
    free(node);
}

void pages_destroy(struct pages *pages)
{
    for (unsigned i = 0; i < PAGES_LOCK_COUNT; i++)
        pthread_rwlock_destroy(&pages->locks[i].rwlock);
    if (pages->whole != NULL)
        munmap(pages->whole, size_of_whole(pages));
    else
        free_node(pages->root, pages->level_count - 1);
    packed_free_benches();
}

/* The caller holds the page's lock. */
static int read_packed(const void *packed, const struct span *span, char *target)
{
    struct packed_bench *bench = packed_take_bench();

    if (bench == NULL)
        return -1;
    int result = packed_unpack(bench, packed);
    if (result == 0)
        memcpy(target, packed_get_page(bench) + span->start_bytes, span->length_bytes);
    packed_give_bench(bench);
    return result;
}

/* What the page was is on the bench, but not where all of it will be overwritten. */
static int unpack_for_change(struct packed_bench *bench, const void *packed,
                             const struct span *span)
{
    if (packed != NULL && !span->is_all)
        return packed_unpack(bench, packed);
    memset(packed_get_page(bench), 0, PAGE_BYTES);
    return 0;
}

/* Writes `source`, or zeroes if that is NULL. The caller holds the page's lock for writing. */
static int write_packed(struct pages *pages, const struct span *span, const char *source)
{
    _Atomic(void *) *slot = find_slot(pages, span->index, true);
    struct packed_bench *bench = slot == NULL ? NULL : packed_take_bench();

    if (bench == NULL)
        return -1;
    void *packed = NULL;
    void *old = atomic_load_explicit(slot, memory_order_relaxed);
    if (unpack_for_change(bench, old, span) == 0) {
        char *target = packed_get_page(bench) + span->start_bytes;
        if (source != NULL)
            memcpy(target, source, span->length_bytes);
        else
            memset(target, 0, span->length_bytes);
        packed = packed_pack(bench);
    }
    packed_give_bench(bench);
    if (packed == NULL)
        return -1;
    atomic_store_explicit(slot, packed, memory_order_relaxed);
    free(old);
    return 0;
}

/* The caller holds the page's lock. */
static int read_span(struct pages *pages, const struct span *span, char *target)
{
    const char *page = find_page(pages, span->index);

    if (page == NULL)
        memset(target, 0, span->length_bytes);
    else if (pages->is_packed)
        return read_packed(page, span, target);
    else
        memcpy(target, page + span->start_bytes, span->length_bytes);
    return 0;
}

/* The caller holds the page's lock for writing. */
static int write_span(struct pages *pages, const struct span *span, const char *source)
{
    if (pages->is_packed)
        return write_packed(pages, span, source);

    char *page = find_or_add_page(pages, span, true);

    if (page == NULL)
        return -1;
    memcpy(page + span->start_bytes, source, span->length_bytes);
    return 0;
}

int pages_read(struct pages *pages, void *buffer, uint32_t count_bytes, uint64_t offset)
{
    char *target = buffer;

    for (uint64_t end = offset + count_bytes; offset < end;) {
        struct span span = span_first(pages, end - offset, offset);
        pthread_rwlock_t *lock = lock_of_page(pages, span.index);

        pthread_rwlock_rdlock(lock);
        int result = read_span(pages, &span, target);
        pthread_rwlock_unlock(lock);
        if (result == -1)
            return -1;
        target += span.length_bytes;
        offset += span.length_bytes;
    }
    return 0;
}

int pages_write(struct pages *pages, const void *buffer, uint32_t count_bytes, uint64_t offset)
{
    const char *source = buffer;

    for (uint64_t end = offset + count_bytes; offset < end;) {
        struct span span = span_first(pages, end - offset, offset);
        pthread_rwlock_t *lock = lock_of_page(pages, span.index);

        pthread_rwlock_wrlock(lock);
        int result = write_span(pages, &span, source);
        pthread_rwlock_unlock(lock);
        if (result == -1)
            return -1;
        source += span.length_bytes;
        offset += span.length_bytes;
    }
    return 0;
}

/* The caller holds the page's lock for writing. */
static int clear_span(struct pages *pages, const struct span *span, bool may_free)
{
    char *page = find_page(pages, span->index);

    if (page == NULL && may_free)
        return 0;
    if (may_free && span->is_all && pages->whole == NULL) {
        drop_page(pages, span->index);
        return 0;
    }
    if (pages->is_packed)
        return write_packed(pages, span, NULL);
    if (page == NULL)
        return find_or_add_page(pages, span, false) != NULL ? 0 : -1;
    memset(page + span->start_bytes, 0, span->length_bytes);
    return 0;
}

int pages_clear(struct pages *pages, uint32_t count_bytes, uint64_t offset, bool may_free)
{
    uint64_t end = offset + count_bytes;

    while (offset < end) {
        uint64_t next_offset = may_free ? skip_missing_leaf(pages, offset) : offset;

        if (next_offset == offset) {
            struct span span = span_first(pages, end - offset, offset);
            pthread_rwlock_t *lock = lock_of_page(pages, span.index);

            pthread_rwlock_wrlock(lock);
            int result = clear_span(pages, &span, may_free);
            pthread_rwlock_unlock(lock);
            if (result == -1)
                return -1;
            next_offset += span.length_bytes;
        }
        offset = next_offset;
    }
    return 0;
}

bool pages_find_extent(struct pages *pages, uint64_t offset, uint64_t end, uint64_t *length_bytes)
{
    bool is_allocated = find_page(pages, offset / PAGE_BYTES) != NULL;
    uint64_t start = offset;

    while (offset < end) {
        uint64_t next_offset = skip_missing_leaf(pages, offset);

        if (next_offset == offset) {
            if ((find_page(pages, offset / PAGE_BYTES) != NULL) != is_allocated)
                break;
            next_offset = (offset / PAGE_BYTES + 1) * PAGE_BYTES;
        } else if (is_allocated) {
            break;
        }
        offset = next_offset;
    }
    *length_bytes = (offset < end ? offset : end) - start;
    return is_allocated;
}
