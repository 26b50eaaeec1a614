// SPDX-License-Identifier: BSD-3-Clause
/* Reads the text of shell scripts. Pure: any thread enters it, and it calls libc only. */
#include "outline.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stddef.h>
#include <string.h>

/* Does "$1", at this place in the text, stand behind case, [ or test, so that nobody else gets it?
 */
static bool is_compared(const char *text, const char *place)
{
    static const char *const words[] = { "case", "[", "test" };

    if (place > text && place[-1] == '"')
        place--;
    while (place > text && (place[-1] == ' ' || place[-1] == '\t'))
        place--;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t length = strlen(words[i]);
        if ((size_t)(place - text) >= length && strncmp(place - length, words[i], length) == 0)
            return true;
    }
    return false;
}

/* Might the script hand its method's name to another program, file or function? */
static bool passes_name_on(const char *text)
{
    static const char *const ways[] = { "$@", "$*", "${@", "${*", "eval", "source" };

    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        if (strstr(text, ways[i]))
            return true;
    for (const char *at = text; (at = strchr(at, '$')); at++) {
        const char *digit = at + 1 + (at[1] == '{');
        if (*digit == '1' && !isdigit((unsigned char)digit[1]) && !is_compared(text, at))
            return true;
    }
    for (const char *at = text; (at = strstr(at, ". ")); at++)
        if (at == text || strchr(" \t\n;&", at[-1]))
            return true;
    return false;
}

/* Is there a pattern for the name, other than one for all? */
static bool has_pattern(char *text, const char *name)
{
    static const char separators[] = " \t\r\n|();\"'";
    char *rest;

    for (char *word = strtok_r(text, separators, &rest); word;
         word = strtok_r(NULL, separators, &rest))
        if (strcmp(word, "*") != 0 && fnmatch(word, name, 0) == 0)
            return true;
    return false;
}

bool outline_lacks_method(char *text, const char *method)
{
    return !strstr(text, method) && !passes_name_on(text) && !has_pattern(text, method);
}
