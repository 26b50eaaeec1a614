// SPDX-License-Identifier: BSD-3-Clause
/* Reads the text of shell scripts. Pure: any thread enters it, and it calls libc only. */
#include "outline.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stddef.h>
#include <string.h>

/* The characters that a shell takes away from words: what they are in is the same word without. */
static void remove_quotes(char *text)
{
    char *to = text;

    for (const char *from = text; *from; from++)
        if (!strchr("\"'\\", *from))
            *to++ = *from;
    *to = '\0';
}

/* Does $1, at this place in the text, stand behind case, [ or test, so that nobody else gets it? */
static bool is_compared(const char *text, const char *place)
{
    static const char *const words[] = { "case", "[", "test" };

    while (place > text && (place[-1] == ' ' || place[-1] == '\t'))
        place--;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t length = strlen(words[i]);
        const char *word = place - length;
        if ((size_t)(place - text) >= length && strncmp(word, words[i], length) == 0 &&
            (word == text || strchr(" \t\n;&|(!{[", word[-1])))
            return true;
    }
    return false;
}

/* Is what stands here, behind "${1", the end, or a default? The rest, as #get_ or ^^, changes it.
 */
static bool is_unchanged(const char *rest)
{
    rest += *rest == ':' && (rest[1] == '-' || rest[1] == '?');
    return *rest == '}' || *rest == '-' || *rest == '?';
}

/* Is there a $1 that the script does something else with than compare it? */
static bool uses_name(const char *text)
{
    for (const char *at = text; (at = strchr(at, '$')); at++) {
        bool has_brace = at[1] == '{';
        const char *digit = at + 1 + has_brace;
        if (*digit != '1' || isdigit((unsigned char)digit[1]))
            continue;
        if (!is_compared(text, at) || (has_brace && !is_unchanged(digit + 1)))
            return true;
    }
    return false;
}

/* Does the script read another one, as in ". ./common.sh"? */
static bool reads_file(const char *text)
{
    for (const char *at = text; (at = strchr(at, '.')); at++)
        if ((at[1] == ' ' || at[1] == '\t') && (at == text || strchr(" \t\n;&|({`", at[-1])))
            return true;
    return false;
}

/*
 * Might the script hand its method's name to another program, file or
 * function, or compare it in a way that is not looked at here: with a regular
 * expression, a pattern of extglob, or whatever the case?
 */
static bool passes_name_on(const char *text)
{
    static const char *const ways[] = { "$@",     "$*",   "${@",         "${*", "eval",
                                        "source", "argv", "nocasematch", "=~",  "ARGV",
                                        "@(",     "?(",   "*(",          "+(",  "!(" };

    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        if (strstr(text, ways[i]))
            return true;
    return uses_name(text) || reads_file(text);
}

/* Is there a pattern for the name, other than one for all? */
static bool has_pattern(char *text, const char *name)
{
    static const char separators[] = " \t\r\n|();";
    char *rest;

    for (char *word = strtok_r(text, separators, &rest); word;
         word = strtok_r(NULL, separators, &rest))
        if (strcmp(word, "*") != 0 && fnmatch(word, name, 0) == 0)
            return true;
    return false;
}

bool outline_lacks_method(char *text, const char *method)
{
    remove_quotes(text);
    return !strstr(text, method) && !passes_name_on(text) && !has_pattern(text, method);
}

/* Does the line that this is a place in begin with a #? */
static bool is_comment(const char *text, const char *place)
{
    while (place > text && place[-1] != '\n')
        place--;
    return place[strspn(place, " \t")] == '#';
}

bool outline_names_method(const char *text, const char *method)
{
    for (const char *at = text; (at = strstr(at, method)); at++)
        if (!is_comment(text, at))
            return true;
    return false;
}
