/* SPDX-License-Identifier: BSD-3-Clause */

/* Each eight bytes are a mix of their offset and the version. */

#include "pattern.h"

#include <string.h>

enum { WORD_BYTES = sizeof(uint64_t) };

static uint64_t word_at(uint64_t offset, uint32_t version)
{
    uint64_t word = (offset / WORD_BYTES + 1) * UINT64_C(0x9e3779b97f4a7c15) +
                    version * UINT64_C(0xc2b2ae3d27d4eb4f);

    return word ^ word >> 29;
}

/* Returns how many bytes from `offset` on are in its word, but no more than `bytes`. */
static size_t part_of_word(uint64_t offset, size_t bytes)
{
    size_t rest = WORD_BYTES - offset % WORD_BYTES;

    return rest < bytes ? rest : bytes;
}

void pattern_fill(void *data, size_t bytes, uint64_t offset, uint32_t version)
{
    unsigned char *next = data;

    while (bytes > 0) {
        uint64_t word = word_at(offset, version);
        size_t count = part_of_word(offset, bytes);

        memcpy(next, (unsigned char *)&word + offset % WORD_BYTES, count);
        next += count;
        offset += count;
        bytes -= count;
    }
}

static size_t find_difference(const unsigned char *data, const unsigned char *other, size_t bytes)
{
    size_t i = 0;

    while (i < bytes && data[i] == other[i])
        i++;
    return i;
}

size_t pattern_find_fault(const void *data, size_t bytes, uint64_t offset, uint32_t version)
{
    const unsigned char *next = data;
    size_t done = 0;

    while (done < bytes) {
        uint64_t word = word_at(offset + done, version);
        const unsigned char *expected = (unsigned char *)&word + (offset + done) % WORD_BYTES;
        size_t count = part_of_word(offset + done, bytes - done);

        if (memcmp(next + done, expected, count) != 0)
            return done + find_difference(next + done, expected, count);
        done += count;
    }
    return bytes;
}
