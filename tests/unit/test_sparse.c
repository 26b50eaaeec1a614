// SPDX-License-Identifier: BSD-3-Clause
/* Splitting reads into data and holes. Prints TAP. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "extents.h"
#include "sparse.h"

enum { K = 1024, DATA = 0, HOLE = 3, ZERO = 2, HOLE_ALONE = 1, EXTENTS = 256 };

static int test_count;
static int failure_count;
static struct extent extents[EXTENTS];
static size_t extent_count;

static void add_extent(uint64_t length, uint32_t type)
{
    uint64_t offset = extent_count ? extents[extent_count - 1].offset : 0;

    offset += extent_count ? extents[extent_count - 1].length : 0;
    extents[extent_count++] = (struct extent){ offset, length, type };
}

static void report(bool is_good, const char *name)
{
    printf("%sok %d - %s\n", is_good ? "" : "not ", ++test_count, name);
    failure_count += !is_good;
}

/* Compares with "LENGTH d|h ...", in bytes; then forgets the extents. */
static void test_split(const char *name, uint64_t start, uint64_t end, uint32_t unit,
                       const char *expected)
{
    struct sparse_piece pieces[SPARSE_PIECES_MAX];
    char got[4096] = "";
    uint64_t at = start;
    bool is_whole = true;

    size_t count = sparse_split(start, end, unit, extents, extent_count, pieces);
    for (size_t i = 0; i < count; i++) {
        is_whole = is_whole && pieces[i].offset == at;
        at += pieces[i].length;
        sprintf(got + strlen(got), "%s%" PRIu32 "%c", i ? " " : "", pieces[i].length,
                pieces[i].is_hole ? 'h' : 'd');
    }
    report(is_whole && at == end && strcmp(got, expected) == 0, name);
    if (strcmp(got, expected) != 0)
        printf("# got %s, expected %s\n", got, expected);
    extent_count = 0;
}

static void test_kinds(void)
{
    test_split("nothing is known", 0, 100 * K, 4096, "102400d");
    add_extent(100 * K, DATA);
    test_split("data", 0, 100 * K, 4096, "102400d");
    add_extent(100 * K, HOLE);
    test_split("a hole", 0, 100 * K, 4096, "102400h");
    add_extent(100 * K, HOLE_ALONE);
    test_split("a hole that need not read as zeroes", 0, 100 * K, 4096, "102400d");
    add_extent(32 * K, HOLE_ALONE);
    add_extent(32 * K, ZERO);
    add_extent(32 * K, HOLE);
    test_split("zeroes of two kinds are one hole", 0, 96 * K, 4096, "32768d 65536h");
    add_extent(40 * K, HOLE);
    test_split("what follows is not known", 0, 100 * K, 4096, "40960h 61440d");
}

static void test_edges(void)
{
    add_extent(10, DATA);
    add_extent(64 * K, HOLE);
    add_extent(100 * K, DATA);
    test_split("a hole begins and ends at multiples", 0, 128 * K, 4096, "4096d 61440h 65536d");
    add_extent(10, DATA);
    add_extent(128 * K - 10, HOLE);
    test_split("of the unit", 0, 128 * K, 65536, "65536d 65536h");
    add_extent(32 * K - 1, HOLE);
    add_extent(64 * K, DATA);
    test_split("a short hole is data", 0, 64 * K, 4096, "65536d");
    add_extent(200 * K, HOLE);
    test_split("a hole that begins before and ends after", 1001, 1001 + 64 * K, 4096, "65536h");
    add_extent(4 * K, DATA);
    add_extent(200 * K, HOLE);
    test_split("a hole up to an end that is no multiple", 1, 100 * K + 1, 4096, "4095d 98305h");
}

static void test_many(void)
{
    struct sparse_piece pieces[SPARSE_PIECES_MAX];
    uint64_t end = EXTENTS * UINT64_C(32) * K;

    for (int i = 0; i < EXTENTS; i++)
        add_extent(32 * K, i % 2 ? HOLE : DATA);
    size_t count = sparse_split(0, end, 4096, extents, extent_count, pieces);
    report(count == SPARSE_PIECES_MAX, "never more pieces than there is room for");
    report(pieces[count - 1].offset + pieces[count - 1].length == end, "they reach the end");
    report(!pieces[count - 1].is_hole, "and the rest is data");
    extent_count = 0;
}

static void test_long(void)
{
    uint64_t start = (UINT64_C(1) << 62) + 17;

    extents[extent_count++] = (struct extent){ 0, UINT64_C(1) << 63, HOLE };
    test_split("the longest read, far out", start, start + UINT32_MAX, 4096, "4294967295h");
}

int main(void)
{
    test_kinds();
    test_edges();
    test_many();
    test_long();
    printf("1..%d\n", test_count);
    return failure_count > 0;
}
