/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads what scripts print. Pure: any thread enters it, and it calls libc's string functions. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "parse.h"

#define TIME_MAX_NS 4294967295e9
#define WHITE_SPACE " \t\r\n\v\f"

static const char *skip_space(const char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    return text;
}

/* Bits to shift a number left by for its unit, or -1. */
static int find_unit_shift(char unit)
{
    static const char units[] = "bkmgtpe";
    const char *found = strchr(units, tolower((unsigned char)unit));

    if (tolower((unsigned char)unit) == 's')
        return 9;
    return unit == '\0' || found == NULL ? -1 : (int)(found - units) * 10;
}

const char *parse_read_size(const char *text, int64_t *size)
{
    int64_t value = 0;

    text = skip_space(text);
    if (*text == '\0')
        return "is empty";
    if (*text == '-' && isdigit((unsigned char)text[1]))
        return "is negative";
    if (*text == '+')
        text++;
    if (!isdigit((unsigned char)*text))
        return "is not a size";
    for (; isdigit((unsigned char)*text); text++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *text - '0', &value))
            return "is too large";

    int shift = find_unit_shift(*text);
    if (shift >= 0)
        text++;
    if (*skip_space(text) != '\0')
        return "is not a size";
    if (shift > 0 && __builtin_mul_overflow(value, INT64_C(1) << shift, &value))
        return "is too large";
    *size = value;
    return NULL;
}

/* Cuts the next word off the text, which steps past it; NULL if there is none. */
static char *take_word(char **text, const char *separators)
{
    char *word = *text + strspn(*text, separators);
    char *end = word + strcspn(word, separators);

    if (end == word)
        return NULL;
    *text = *end == '\0' ? end : end + 1;
    *end = '\0';
    return word;
}

const char *parse_read_block_sizes(char *text, uint32_t sizes[3])
{
    for (int i = 0; i < 3; i++) {
        const char *word = take_word(&text, WHITE_SPACE);
        int64_t size;

        if (word == NULL)
            return "is not three sizes";
        const char *problem = parse_read_size(word, &size);
        if (problem != NULL)
            return problem;
        if (size > UINT32_MAX)
            return "is too large";
        sizes[i] = (uint32_t)size;
    }
    return take_word(&text, WHITE_SPACE) == NULL ? NULL : "is more than three sizes";
}

int parse_read_time(const char *text, int64_t default_unit_ns, int64_t *time_ns)
{
    static const struct {
        const char *name;
        int64_t ns;
    } units[] = {
        { "s", 1000000000 }, { "ms", 1000000 },   { "us", 1000 },
        { "\u03bcs", 1000 }, { "\u00b5s", 1000 }, { "ns", 1 },
    };
    char *end;
    double number = strtod(text, &end);
    int64_t unit_ns = *end == '\0' && end != text ? default_unit_ns : 0;

    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strcmp(end, units[i].name) == 0)
            unit_ns = units[i].ns;
    double result = number * (double)unit_ns + 0.5;
    if (end == text || unit_ns == 0 || !isfinite(number) || signbit(number) ||
        (number > 0 && result < 1) || result > TIME_MAX_NS)
        return -1;
    *time_ns = (int64_t)result;
    return 0;
}

int parse_find_word(const char *text, const char *const *words)
{
    for (int i = 0; words[i] != NULL; i++) {
        size_t length = strlen(words[i]);

        if (strncasecmp(text, words[i], length) == 0 && *skip_space(text + length) == '\0')
            return i;
    }
    return -1;
}

static const struct {
    const char *word;
    int number;
} errno_words[] = {
    { "EPERM", EPERM },
    { "EIO", EIO },
    { "ENOMEM", ENOMEM },
    { "EINVAL", EINVAL },
    { "ENOSPC", ENOSPC },
    { "EOVERFLOW", EOVERFLOW },
    { "ENOTSUP", ENOTSUP },
    { "EOPNOTSUPP", EOPNOTSUPP },
    { "ESHUTDOWN", ESHUTDOWN },
    { "EROFS", EROFS },
    { "EDQUOT", EDQUOT },
    { "EFBIG", EFBIG },
    { "EACCES", EACCES },
    { "EAGAIN", EAGAIN },
    { "EBADF", EBADF },
    { "EBUSY", EBUSY },
    { "ECONNREFUSED", ECONNREFUSED },
    { "ECONNRESET", ECONNRESET },
    { "EEXIST", EEXIST },
    { "EHOSTUNREACH", EHOSTUNREACH },
    { "EINTR", EINTR },
    { "EISDIR", EISDIR },
    { "EMFILE", EMFILE },
    { "ENETUNREACH", ENETUNREACH },
    { "ENODEV", ENODEV },
    { "ENOENT", ENOENT },
    { "ENOSYS", ENOSYS },
    { "ENOTCONN", ENOTCONN },
    { "ENOTDIR", ENOTDIR },
    { "ENXIO", ENXIO },
    { "EPIPE", EPIPE },
    { "ERANGE", ERANGE },
    { "ESTALE", ESTALE },
    { "ETIMEDOUT", ETIMEDOUT },
};

/* The errno that the line's first word names, or 0. */
static int find_errno_in_line(const char *line, size_t length)
{
    size_t end = 0;

    while (end < length && !isspace((unsigned char)line[end]))
        end++;
    for (size_t i = 0; i < sizeof(errno_words) / sizeof(errno_words[0]); i++)
        if (strlen(errno_words[i].word) == end && strncasecmp(line, errno_words[i].word, end) == 0)
            return errno_words[i].number;
    return 0;
}

int parse_find_errno(const char *text, size_t length)
{
    if (length == 0 || *text != '+')
        return find_errno_in_line(text, length);

    const char *end = text + length;
    for (const char *line_end; text < end; text = line_end + 1) {
        line_end = memchr(text, '\n', (size_t)(end - text));
        if (line_end == NULL)
            line_end = end;
        int number = find_errno_in_line(text, (size_t)(line_end - text));
        if (number != 0)
            return number;
    }
    return 0;
}

bool parse_next_line(struct parse_lines *lines)
{
    if (*lines->next == '\0')
        return false;
    lines->line = lines->next;
    lines->number++;
    char *end = strchrnul(lines->line, '\n');
    lines->next = *end == '\0' ? end : end + 1;
    *end = '\0';
    return true;
}

/* Reads the type of an extent. Returns 0, or -1 if it is neither a number nor known words. */
static int read_extent_type(char *text, uint32_t *type)
{
    static const char *const words[] = { "hole", "zero", NULL };
    uint32_t number = 0;

    *type = 0;
    if (isdigit((unsigned char)*text)) {
        for (; isdigit((unsigned char)*text); text++)
            if (__builtin_mul_overflow(number, 10, &number) ||
                __builtin_add_overflow(number, (uint32_t)(*text - '0'), &number))
                return -1;
        *type = number;
        return *text == '\0' ? 0 : -1;
    }
    for (const char *word; (word = take_word(&text, ",")) != NULL;) {
        int bit = parse_find_word(word, words);

        if (bit < 0)
            return -1;
        *type |= UINT32_C(1) << bit;
    }
    return 0;
}

/* Reads "offset length [type]" from a copy of the line, so that a message can show the line. */
static int read_extent(const char *line, struct parse_extent *extent)
{
    char copy[256];
    char *rest = copy;
    int64_t offset, length;

    size_t size = strlen(line) + 1;
    if (size > sizeof(copy))
        return -1;
    memcpy(copy, line, size);
    const char *offset_word = take_word(&rest, WHITE_SPACE);
    const char *length_word = take_word(&rest, WHITE_SPACE);
    char *type_word = take_word(&rest, WHITE_SPACE);
    if (length_word == NULL || parse_read_size(offset_word, &offset) != NULL ||
        parse_read_size(length_word, &length) != NULL || length > INT64_MAX - offset)
        return -1;
    extent->offset = (uint64_t)offset;
    extent->length = (uint64_t)length;
    extent->type = 0;
    return type_word == NULL ? 0 : read_extent_type(type_word, &extent->type);
}

int parse_next_extent(struct parse_lines *lines, struct parse_extent *extent)
{
    while (parse_next_line(lines)) {
        char first = *skip_space(lines->line);

        if (first != '\0' && first != '#')
            return read_extent(lines->line, extent) < 0 ? -1 : 1;
    }
    return 0;
}

static size_t count_lines(const char *text)
{
    size_t count = 0;

    while (*text != '\0') {
        text = strchrnul(text, '\n');
        text += *text != '\0';
        count++;
    }
    return count;
}

enum export_form { FORM_NAMES, FORM_INTERLEAVED, FORM_NAMES_THEN_DESCRIPTIONS, FORM_UNNAMED };

/* Reads the form from the first line and steps past it if it names one. */
static enum export_form take_export_form(char **text)
{
    static const char *const forms[] = { "NAMES", "INTERLEAVED", "NAMES+DESCRIPTIONS" };

    for (int i = FORM_NAMES; i < FORM_UNNAMED; i++) {
        size_t length = strlen(forms[i]);

        if (strncmp(*text, forms[i], length) != 0)
            continue;
        if ((*text)[length] == '\0' || (*text)[length] == '\n') {
            *text += length + ((*text)[length] == '\n');
            return (enum export_form)i;
        }
    }
    return FORM_UNNAMED;
}

void parse_begin_exports(struct parse_exports *exports, char *text)
{
    enum export_form form = take_export_form(&text);
    size_t count = count_lines(text);
    char *descriptions = text + strlen(text);

    if (form == FORM_INTERLEAVED || form == FORM_NAMES_THEN_DESCRIPTIONS)
        count -= count / 2;
    if (form == FORM_NAMES_THEN_DESCRIPTIONS) {
        descriptions = text;
        for (size_t i = 0; i < count; i++) {
            descriptions = strchrnul(descriptions, '\n');
            descriptions += *descriptions != '\0';
        }
    }
    *exports = (struct parse_exports){
        .names.next = text,
        .descriptions.next = descriptions,
        .remaining = count,
        .is_interleaved = form == FORM_INTERLEAVED,
    };
}

bool parse_next_export(struct parse_exports *exports, const char **name, const char **description)
{
    struct parse_lines *source = exports->is_interleaved ? &exports->names : &exports->descriptions;

    if (exports->remaining == 0)
        return false;
    exports->remaining--;
    parse_next_line(&exports->names);
    *name = exports->names.line;
    *description = parse_next_line(source) ? source->line : NULL;
    return true;
}
