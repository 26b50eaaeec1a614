/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Loaded into a server with LD_PRELOAD: 512 MiB of memory that has been touched,
 * as a server with a cache or with a large disk in memory has it.
 */

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { HEAVY_BYTES = 512 << 20 };

static void grow_heavy(void) __attribute__((__constructor__));

static void grow_heavy(void)
{
    void *memory =
        mmap(NULL, HEAVY_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        abort();
    /* Small pages are what an allocator's memory mostly has, and what fork pays for. */
    madvise(memory, HEAVY_BYTES, MADV_NOHUGEPAGE);
    memset(memory, 1, HEAVY_BYTES);
    unsetenv("LD_PRELOAD"); /* it is the server that is to be heavy, not its scripts */
}
