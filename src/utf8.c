// SPDX-License-Identifier: BSD-3-Clause
/* Pure functions; any thread; calls nothing of ours. */
#include "utf8.h"

#include <stdint.h>
#include <string.h>

/* Decodes the UTF-8 sequence at `s`. Returns its length in bytes, 0 if it is not one. */
static size_t decode(const unsigned char *s, uint32_t *code)
{
    static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
    size_t length = s[0] < 0x80             ? 1
                    : (s[0] & 0xe0) == 0xc0 ? 2
                    : (s[0] & 0xf0) == 0xe0 ? 3
                    : (s[0] & 0xf8) == 0xf0 ? 4
                                            : 0;

    *code = length == 1 ? s[0] : s[0] & (0x7fU >> length);
    if (length < 2)
        return length;
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        *code = *code << 6 | (s[i] & 0x3f);
    }
    bool is_surrogate = *code >= 0xd800 && *code <= 0xdfff;
    return *code < smallest[length] || *code > 0x10ffff || is_surrogate ? 0 : length;
}

/* Characters that act on what is around them, or end a line, without being seen. */
static const struct {
    uint32_t first;
    uint32_t last;
} hidden[] = {
    { 0, 0x1f },        { 0x7f, 0x9f }, /* C0, DEL and C1, which terminals obey too */
    { 0x061c, 0x061c },                 /* marks, embeddings, overrides and isolates: */
    { 0x200e, 0x200f },                 /* they change the direction of writing */
    { 0x2028, 0x202e },                 /* and the separators of lines and paragraphs */
    { 0x2060, 0x206f }, { 0x200b, 0x200b },   { 0xfeff, 0xfeff },
    { 0xfff9, 0xfffb }, { 0xe0000, 0xe007f }, /* tags */
};

static bool is_hidden(uint32_t code)
{
    for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++)
        if (code >= hidden[i].first && code <= hidden[i].last)
            return true;
    return false;
}

size_t utf8_get_shown_length(const char *text)
{
    uint32_t code;
    size_t length = decode((const unsigned char *)text, &code);

    return length > 0 && !is_hidden(code) ? length : 0;
}

bool utf8_is_valid(const char *text, size_t length_max)
{
    const unsigned char *s = (const unsigned char *)text;
    uint32_t code;

    if (strlen(text) > length_max)
        return false;
    while (*s) {
        size_t length = decode(s, &code);
        if (length == 0)
            return false;
        s += length;
    }
    return true;
}

size_t utf8_clean(char *out, size_t size, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t used = 0;
    uint32_t code;

    while (*s) {
        size_t length = decode(s, &code);
        bool is_copied = length > 0 && !is_hidden(code);
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

void utf8_neutralise(char *text)
{
    const char *from = text;
    char *to = text;
    uint32_t code;

    while (*from) {
        size_t length = decode((const unsigned char *)from, &code);
        bool is_copied = length > 0 && (!is_hidden(code) || code == '\n' || code == '\t');
        if (is_copied)
            memmove(to, from, length);
        else
            *to = '?';
        to += is_copied ? length : 1;
        from += length > 0 ? length : 1;
    }
    *to = '\0';
}
