// SPDX-License-Identifier: BSD-3-Clause
/* Memory for large requests: it is the caller's alone, and is kept for the next one. Prints TAP. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "spares.h"

#define MIB ((size_t)1024 * 1024)

enum { TAKEN = SPARES_MAX + 2 };

static int test_count;
static int failure_count;

static void report(bool is_good, const char *what)
{
    test_count++;
    failure_count += !is_good;
    printf("%sok %d - %s\n", is_good ? "" : "not ", test_count, what);
}

/* Takes as many as that, more than are kept, and fills each with its number. */
static bool take_all(struct spares *spares, char *taken[TAKEN], size_t bytes)
{
    for (int i = 0; i < TAKEN; i++) {
        taken[i] = spares_take(spares, bytes);
        if (!taken[i])
            return false;
        memset(taken[i], i, bytes);
    }
    for (int i = 0; i < TAKEN; i++)
        for (size_t at = 0; at < bytes; at++)
            if (taken[i][at] != i)
                return false;
    return true;
}

static void test_size(size_t bytes)
{
    struct spares spares = { .kept = { NULL } };
    char *taken[TAKEN] = { NULL };
    char what[80];

    for (int round = 0; round < 2; round++) {
        snprintf(what, sizeof what, "%zu bytes, round %d: nobody else's", bytes, round);
        report(take_all(&spares, taken, bytes), what);
        for (int i = 0; i < TAKEN; i++)
            spares_give(&spares, taken[i], bytes);
    }
    spares_drop(&spares);
}

static void test_keeping(void)
{
#ifndef __SANITIZE_ADDRESS__
    struct spares spares = { .kept = { NULL } };
    void *first = spares_take(&spares, MIB);

    spares_give(&spares, first, MIB);
    report(spares_take(&spares, 2 * MIB) == first, "what is kept serves another size, too");
    spares_give(&spares, first, 2 * MIB);
    spares_drop(&spares);
    bool is_empty = true;
    for (int i = 0; i < SPARES_MAX; i++)
        is_empty = is_empty && !spares.kept[i];
    report(is_empty, "nothing is kept after spares_drop()");
#endif
}

int main(void)
{
    struct spares spares = { .kept = { NULL } };

    test_size(1);
    test_size(32 * 1024 - 1);
    test_size(32 * 1024);
    test_size(2 * MIB);
    test_size(2 * MIB + 1);
    test_keeping();
    spares_give(&spares, NULL, MIB);
    report(!spares.kept[0], "NULL is not kept");
    printf("1..%d\n", test_count);
    return failure_count > 0;
}
