/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads the table of the method map. Pure: any thread enters it, and it calls parse. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "map_parse.h"

#define WORD_MAX 64 /* bytes of a word that is no path */
#define NANOSECONDS_PER_MILLISECOND INT64_C(1000000)
#define DELAY_MAX_NS (UINT32_MAX * NANOSECONDS_PER_MILLISECOND)

/* The rest of a line, and where problems are told. */
struct reader {
    struct map_parse *parse;
    const char *rest;
};

/* Notes what is wrong with the line, and how it is right. Returns -1. */
__attribute__((format(printf, 2, 3))) static int fail(struct reader *reader, const char *format,
                                                      ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(reader->parse->problem, sizeof(reader->parse->problem), format, args);
    va_end(args);
    return -1;
}

/* At the end of the line, or at a comment that takes the rest of it? */
static bool is_at_end(struct reader *reader)
{
    while (isspace((unsigned char)*reader->rest))
        reader->rest++;
    return *reader->rest == '\0' || *reader->rest == '#';
}

/*
 * Takes the next character of a word, with the quotes of a shell undone: quote
 * is the one that is open, or NUL. Returns it; 0 for a quote, which is none of
 * the word's; or -1 at the end of the word, or of the line in a quote.
 */
static int take_character(const char **rest, char *quote)
{
    char c = **rest;

    if (c == '\0' || (*quote == '\0' && isspace((unsigned char)c)))
        return -1;
    ++*rest;
    if (c == *quote || (*quote == '\0' && (c == '\'' || c == '"'))) {
        *quote = c == *quote ? '\0' : c;
        return 0;
    }
    if (c == '\\' && **rest != '\0' &&
        (*quote == '\0' || (*quote == '"' && strchr("\"\\$`", **rest) != NULL)))
        c = *(*rest)++;
    return (unsigned char)c;
}

/* Takes a word. Returns 1, 0 if there is none left, or -1. */
static int take_word(struct reader *reader, char *word, size_t size)
{
    const char *begin = reader->rest;
    char quote = '\0';
    size_t length = 0;
    int c;

    if (is_at_end(reader))
        return 0;
    while ((c = take_character(&reader->rest, &quote)) >= 0) {
        if (c == 0)
            continue;
        if (length + 1 == size)
            return fail(reader, "a word is longer than %zu bytes: '%.40s...'", size - 1,
                        begin + strspn(begin, " \t"));
        word[length++] = (char)c;
    }
    word[length] = '\0';
    if (quote != '\0')
        return fail(reader,
                    "the quote %c is not closed: put one behind the path, and \\ before "
                    "one that belongs to it",
                    quote);
    return 1;
}

/* Takes a size that has to be there. Returns 0 or -1. */
static int take_size(struct reader *reader, const char *what, uint64_t *size)
{
    char word[WORD_MAX];
    int64_t value;

    int taken = take_word(reader, word, sizeof(word));
    if (taken < 0)
        return -1;
    if (taken == 0)
        return fail(reader, "the %s is missing: write OFFSET LENGTH TARGET [ARGUMENT...]", what);
    const char *problem = parse_read_size(word, &value);
    if (problem != NULL)
        return fail(reader, "the %s, '%s', %s: write bytes, or a number with a unit such as 10M",
                    what, word, problem);
    *size = (uint64_t)value;
    return 0;
}

static int take_range(struct reader *reader, struct map_range *range)
{
    const struct map_parse *parse = reader->parse;

    if (take_size(reader, "offset", &range->offset) < 0 ||
        take_size(reader, "length", &range->length) < 0)
        return -1;
    if (range->length == 0)
        return fail(reader, "the length is 0: leave the line out, or write at least 1");
    if (range->offset < parse->reached)
        return fail(reader,
                    "begins at byte %" PRIu64 ", but the range before it ends at byte %" PRIu64
                    ": ranges must ascend and not overlap",
                    range->offset, parse->reached);
    /* Neither is above INT64_MAX, so that the sum does not overflow. */
    if (range->offset + range->length > parse->disk_bytes)
        return fail(reader,
                    "ends at byte %" PRIu64 ", but the disk (get_size) has %" PRIu64
                    " bytes: stay inside of it",
                    range->offset + range->length, parse->disk_bytes);
    return 0;
}

/* What follows the name of each target. Each returns 0 or -1. */

static int take_file(struct reader *reader, struct map_range *range)
{
    int taken = take_word(reader, reader->parse->path, sizeof(reader->parse->path));

    if (taken < 0)
        return -1;
    if (taken == 0 || reader->parse->path[0] == '\0')
        return fail(reader, "names no file: write file PATH [OFFSET]");
    if (is_at_end(reader))
        return 0;
    if (!isdigit((unsigned char)*reader->rest))
        return fail(reader,
                    "'%.40s' behind the path is not an offset in the file: write a size there, and "
                    "a path that has blanks in it between quotes",
                    reader->rest);
    if (take_size(reader, "offset in the file", &range->file_offset) < 0)
        return -1;
    if (range->file_offset > INT64_MAX - range->length)
        return fail(reader, "the offset in the file is too large: no file has so many bytes");
    return 0;
}

static int take_nothing(struct reader *reader, struct map_range *range)
{
    (void)reader;
    (void)range;
    return 0;
}

static int take_error(struct reader *reader, struct map_range *range)
{
    char word[WORD_MAX];

    int taken = take_word(reader, word, sizeof(word));
    if (taken < 0)
        return -1;
    if (taken == 0)
        return fail(reader, "names no error: write an errno word, as in 'error EIO'");
    range->error = parse_find_errno(word, strlen(word));
    return range->error != 0 ? 0
                             : fail(reader,
                                    "'%s' is not an errno word that is known: write EIO, ENOSPC, "
                                    "EPERM or another one of nbdlab-sh-plugin(3)",
                                    word);
}

static int take_disconnect(struct reader *reader, struct map_range *range)
{
    static const char *const words[] = { "soft", "force", NULL };
    char word[WORD_MAX] = "";

    if (take_word(reader, word, sizeof(word)) < 0)
        return -1;
    int how = parse_find_word(word, words);
    if (how < 0)
        return fail(reader,
                    "'%s' is no way to disconnect: write 'disconnect soft' or "
                    "'disconnect force'",
                    word);
    range->error = ESHUTDOWN;
    range->effect = how == 0 ? STATUS_EFFECT_DISCONNECT_SOFT : STATUS_EFFECT_DISCONNECT_FORCE;
    return 0;
}

static int take_shutdown(struct reader *reader, struct map_range *range)
{
    (void)reader;
    range->error = ESHUTDOWN;
    range->effect = STATUS_EFFECT_SHUTDOWN;
    return 0;
}

/* Delays add up: what follows may be another one. */
static int take_delay(struct reader *reader, struct map_range *range)
{
    char word[WORD_MAX] = "";
    int64_t delay_ns;

    if (take_word(reader, word, sizeof(word)) < 0)
        return -1;
    if (parse_read_time(word, NANOSECONDS_PER_MILLISECOND, &delay_ns) < 0 ||
        delay_ns > DELAY_MAX_NS - range->delay_ns)
        return fail(reader,
                    "'%s' is not a time to wait: write milliseconds, or a number with a unit such "
                    "as 1.5s, up to 4294967295 ms, as in 'delay 100 zero'",
                    word);
    range->delay_ns += delay_ns;
    return 0;
}

static const struct target {
    const char *name;
    enum map_kind kind;
    bool has_target; /* what follows its arguments is a target again */
    int (*take_arguments)(struct reader *reader, struct map_range *range);
} targets[] = {
    { "file", MAP_FILE, false, take_file },
    { "zero", MAP_ZERO, false, take_nothing },
    { "error", MAP_ERROR, false, take_error },
    { "disconnect", MAP_ERROR, false, take_disconnect },
    { "shutdown", MAP_ERROR, false, take_shutdown },
    { "script", MAP_SCRIPT, false, take_nothing },
    { "delay", MAP_SCRIPT, true, take_delay },
};

static const struct target *find_target(const char *name)
{
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
        if (strcmp(targets[i].name, name) == 0)
            return &targets[i];
    return NULL;
}

static int take_target(struct reader *reader, struct map_range *range)
{
    static const char known[] = "file, zero, error, delay, disconnect, shutdown or script";
    const struct target *target;

    do {
        char word[WORD_MAX];
        int taken = take_word(reader, word, sizeof(word));

        if (taken < 0)
            return -1;
        if (taken == 0)
            return fail(reader, "the target is missing: write %s behind the length%s", known,
                        range->delay_ns > 0 ? " and the delay" : "");
        target = find_target(word);
        if (target == NULL)
            return fail(reader, "'%s' is not a target: write %s", word, known);
        if (target->take_arguments(reader, range) < 0)
            return -1;
        range->kind = target->kind;
    } while (target->has_target);
    return is_at_end(reader)
               ? 0
               : fail(reader, "'%.40s' is too much: nothing follows there", reader->rest);
}

int map_parse_next(struct map_parse *parse, struct map_range *range)
{
    while (parse_next_line(&parse->lines)) {
        struct reader reader = { .parse = parse, .rest = parse->lines.line };

        if (is_at_end(&reader))
            continue;
        *range = (struct map_range){ 0 };
        if (take_range(&reader, range) < 0 || take_target(&reader, range) < 0)
            return -1;
        parse->reached = range->offset + range->length;
        return 1;
    }
    return 0;
}
