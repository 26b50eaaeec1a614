/* SPDX-License-Identifier: BSD-3-Clause */
/* Makes text fit for a line of the log. Pure: any thread enters it, and it calls libc only. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

#define JOINED_MAX 1500   /* bytes of a script's text in a message: this many, */
#define JOINED_HEAD 500   /* of which so many are its beginning */
#define WORD_MAX 80       /* bytes of an argument */
#define COMPLAINT_MAX 500 /* bytes of a line in which a complaint is looked for */

static void put_escaped(FILE *stream, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c == '\t')
            fputc(' ', stream);
        else if (iscntrl(c))
            fprintf(stream, "\\x%02x", c);
        else
            fputc(c, stream);
    }
}

static size_t get_line_length(const char *text, const char *end)
{
    const char *newline = memchr(text, '\n', (size_t)(end - text));

    return (size_t)((newline == NULL ? end : newline) - text);
}

/* Puts the lines that are not empty, traced ones only if asked. Returns how many. */
static size_t put_lines(FILE *stream, const char *text, size_t length, bool is_trace_wanted)
{
    const char *end = text + length;
    size_t count = 0;

    while (text < end) {
        size_t line_length = get_line_length(text, end);

        if (line_length > 0 && (is_trace_wanted || *text != '+')) {
            fputs(count++ == 0 ? "" : " | ", stream);
            put_escaped(stream, text, line_length - (text[line_length - 1] == '\r'));
        }
        text += line_length < (size_t)(end - text) ? line_length + 1 : line_length;
    }
    return count;
}

/* Leaves out the middle of a long string, in place. */
static void cut_middle(char *text, size_t length)
{
    static const char gap[] = " [...] ";
    size_t gap_length = strlen(gap);
    size_t tail_length = JOINED_MAX - JOINED_HEAD - gap_length;

    if (length <= JOINED_MAX)
        return;
    memmove(text + JOINED_MAX - tail_length, text + length - tail_length, tail_length + 1);
    memcpy(text + JOINED_HEAD, gap, gap_length);
}

char *text_join_lines(const char *text, size_t length)
{
    char *joined = NULL;
    size_t joined_length;
    FILE *stream = open_memstream(&joined, &joined_length);

    if (stream == NULL)
        return NULL;
    while (length > 0 && isspace((unsigned char)text[length - 1]))
        length--;
    if (length > 0 && put_lines(stream, text, length, false) == 0)
        put_lines(stream, text, length, true);
    if (fclose(stream) != 0) {
        free(joined);
        return NULL;
    }
    cut_middle(joined, joined_length);
    return joined;
}

static void put_quoted(FILE *stream, const char *word)
{
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "0123456789%+,-./:=@_";
    size_t length = strnlen(word, WORD_MAX + 1);
    bool is_cut = length > WORD_MAX;

    if (is_cut)
        length = WORD_MAX;
    if (length > 0 && strspn(word, safe) >= length) {
        fwrite(word, 1, length, stream);
    } else {
        fputc('\'', stream);
        for (size_t i = 0; i < length; i++)
            if (word[i] == '\'')
                fputs("'\\''", stream);
            else
                put_escaped(stream, word + i, 1);
        fputc('\'', stream);
    }
    if (is_cut)
        fputs("...", stream);
}

char *text_quote_words(const char *const *words)
{
    char *quoted = NULL;
    size_t length;
    FILE *stream = open_memstream(&quoted, &length);

    if (stream == NULL)
        return NULL;
    for (size_t i = 0; words[i] != NULL; i++) {
        fputs(i == 0 ? "" : " ", stream);
        put_quoted(stream, words[i]);
    }
    if (fclose(stream) != 0) {
        free(quoted);
        return NULL;
    }
    return quoted;
}

/* True if a line number stands in the line, as in "x.sh: 3: ", ": line 3: ", "x.sh[3]: ". */
static bool has_line_number(const char *line)
{
    for (const char *p = line; *p != '\0'; p++) {
        if (!isdigit((unsigned char)*p))
            continue;
        bool is_number_start = p > line && strchr(": [", p[-1]) != NULL;
        while (isdigit((unsigned char)p[1]))
            p++;
        if (is_number_start && (p[1] == ':' || strncmp(p + 1, "]:", 2) == 0))
            return true;
    }
    return strstr(line, " at line ") != NULL;
}

static bool is_complaint_line(const char *line)
{
    static const char *const phrases[] = {
        "syntax error",      "parse error",    "unexpected",        "unterminated",
        "bad substitution",  "illegal option", "invalid option",    "parameter not set",
        "unbound variable",  "cannot open",    "cannot create",     ".: ",
        "bad variable name", "is read only",   "readonly variable", "arithmetic expression",
        "shift that many",
    };

    if (!has_line_number(line))
        return false;
    for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++)
        if (strcasestr(line, phrases[i]) != NULL)
            return true;
    return false;
}

bool text_has_message(const char *text, size_t length)
{
    for (const char *end = text + length; text < end;) {
        size_t line_length = get_line_length(text, end);

        if (line_length > 0 && *text != '+')
            return true;
        text += line_length < (size_t)(end - text) ? line_length + 1 : line_length;
    }
    return false;
}

bool text_is_shell_complaint(const char *text, size_t length)
{
    char line[COMPLAINT_MAX + 1];

    if (length == 0)
        return false;
    for (const char *end = text + length; text < end;) {
        size_t line_length = get_line_length(text, end);

        snprintf(line, sizeof(line), "%.*s", (int)line_length, text);
        if (*line != '+' && is_complaint_line(line))
            return true;
        text += line_length < (size_t)(end - text) ? line_length + 1 : line_length;
    }
    return false;
}
