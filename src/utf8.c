// SPDX-License-Identifier: BSD-3-Clause
/* Pure functions; any thread; calls nothing of ours. */
#include "utf8.h"

#include <stdint.h>
#include <string.h>

/* The length in bytes of the UTF-8 sequence at `s`, 0 if it is not one. */
static size_t sequence_length(const unsigned char *s)
{
    static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
    size_t length = s[0] < 0x80             ? 1
                    : (s[0] & 0xe0) == 0xc0 ? 2
                    : (s[0] & 0xf0) == 0xe0 ? 3
                    : (s[0] & 0xf8) == 0xf0 ? 4
                                            : 0;

    if (length < 2)
        return length;
    uint32_t code = s[0] & (0x7fU >> length);
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (s[i] & 0x3f);
    }
    bool is_surrogate = code >= 0xd800 && code <= 0xdfff;
    return code < smallest[length] || code > 0x10ffff || is_surrogate ? 0 : length;
}

bool utf8_is_valid(const char *text, size_t length_max)
{
    const unsigned char *s = (const unsigned char *)text;

    if (strlen(text) > length_max)
        return false;
    while (*s) {
        size_t length = sequence_length(s);
        if (length == 0)
            return false;
        s += length;
    }
    return true;
}

/* C0, DEL, and C1, which some terminals obey too. */
static bool is_control(const unsigned char *s)
{
    return *s < ' ' || *s == 0x7f || (s[0] == 0xc2 && s[1] < 0xa0);
}

size_t utf8_clean(char *out, size_t size, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t used = 0;

    while (*s) {
        size_t length = sequence_length(s);
        bool is_copied = length > 0 && !is_control(s);
        if (used + (is_copied ? length : 1) >= size)
            break;
        if (is_copied) {
            memcpy(out + used, s, length);
            used += length;
        } else {
            out[used++] = length > 0 ? ' ' : '?';
        }
        s += length > 0 ? length : 1;
    }
    while (used > 0 && out[used - 1] == ' ')
        used--;
    out[used] = '\0';
    return used;
}
