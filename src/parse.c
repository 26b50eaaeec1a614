// SPDX-License-Identifier: BSD-3-Clause
/*
 * Pure parsers. Entered by any thread; calls nothing of ours. Owns a copy of
 * the C locale.
 */
#include "parse.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char not_a_number[] = "is not a number";
static const char out_of_range[] = "is out of range";

static const char *skip_space(const char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    return text;
}

static locale_t c_locale;

static void make_c_locale(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", NULL);
}

/* A plugin may have set a locale in which 0.5 is written 0,5. */
static locale_t get_c_locale(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, make_c_locale);
    return c_locale;
}

/* The factor of a size suffix, 0 if there is no such suffix. */
static uint64_t get_factor(const char *suffix)
{
    static const char powers[] = "bkmgtpe";

    if (*suffix == '\0')
        return 1;
    if (suffix[1] != '\0')
        return 0;
    if (*suffix == 's' || *suffix == 'S')
        return 512;
    const char *power = strchr(powers, tolower((unsigned char)*suffix));
    return power ? UINT64_C(1) << (10 * (power - powers)) : 0;
}

const char *parse_size(const char *text, int64_t *bytes)
{
    char *end;
    uint64_t size;

    text = skip_space(text);
    bool is_negative = *text == '-';
    if (!isdigit((unsigned char)text[is_negative || *text == '+']))
        return "is not a size, which looks like 512, 100K, 64M or 1G";
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (is_negative && number != 0)
        return "is negative, but a size is 0 or more";
    uint64_t factor = get_factor(end);
    if (factor == 0)
        return "has an unknown suffix; known are b, k, M, G, T, P, E and s (512-byte sectors)";
    if (errno == ERANGE || __builtin_mul_overflow(number, factor, &size) || size > INT64_MAX)
        return "is too large, a size is at most 2^63-1 bytes";
    *bytes = (int64_t)size;
    return NULL;
}

const char *parse_bool(const char *text, bool *value)
{
    static const char *const words[][6] = {
        { "0", "f", "false", "n", "no", "off" },
        { "1", "t", "true", "y", "yes", "on" },
    };

    for (int truth = 0; truth < 2; truth++)
        for (int i = 0; i < 6; i++)
            if (strcasecmp(text, words[truth][i]) == 0) {
                *value = truth;
                return NULL;
            }
    return "is not a boolean, which is one of true, false, yes, no, on, off, 1, 0";
}

/* What strtoll() or strtoull() came to; they set errno, which was 0. */
static const char *check_number(const char *text, const char *end)
{
    if (end == text || *end)
        return not_a_number;
    return errno == ERANGE ? out_of_range : NULL;
}

const char *parse_signed(const char *text, int64_t minimum, int64_t maximum, int64_t *value)
{
    char *end;

    errno = 0;
    long long number = strtoll(text, &end, 0);
    const char *fault = check_number(text, end);
    if (fault)
        return fault;
    if (number < minimum || number > maximum)
        return out_of_range;
    *value = number;
    return NULL;
}

const char *parse_unsigned(const char *text, uint64_t maximum, uint64_t *value)
{
    char *end;

    /* strtoull() would wrap a negative number round. */
    if (*skip_space(text) == '-')
        return "is negative, but must be 0 or more";
    errno = 0;
    unsigned long long number = strtoull(text, &end, 0);
    const char *fault = check_number(text, end);
    if (fault)
        return fault;
    if (number > maximum)
        return out_of_range;
    *value = number;
    return NULL;
}

const char *parse_probability(const char *text, double *value)
{
    static const char fault[] = "is not a probability, which looks like 0.25, 25%, 1:4 or 1/4";
    char *end;
    double number = strtod_l(text, &end, get_c_locale());
    double divisor = 1;

    if (end == text)
        return fault;
    if (*end == '%') {
        divisor = 100;
        end++;
    } else if (*end == ':' || *end == '/') {
        const char *second = end + 1;
        divisor = strtod_l(second, &end, get_c_locale());
        if (end == second)
            return fault;
    }
    if (*end != '\0')
        return fault;
    /* 0:0 and 0/0 mean never. */
    double result = number == 0 && divisor == 0 ? number : number / divisor;
    if (!isfinite(result) || signbit(result))
        return "is not a finite probability of 0 or more";
    *value = result;
    return NULL;
}

/* Nanoseconds in a unit of time, 0 if there is no such unit. */
static long double get_unit_ns(const char *unit)
{
    static const struct {
        const char *name;
        long double ns;
    } units[] = {
        { "", 1e9L },        { "s", 1e9L },       { "ms", 1e6L }, { "us", 1e3L },
        { "\u03bcs", 1e3L }, { "\u00b5s", 1e3L }, { "ns", 1 },
    };

    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(unit, units[i].name) == 0)
            return units[i].ns;
    return 0;
}

const char *parse_delay(const char *text, unsigned *sec, unsigned *nsec)
{
    static const char fault[] = "is not a time, which looks like 2, 1.5s, 100ms, 20us or 7ns";
    char *end;
    long double number = strtold_l(text, &end, get_c_locale());
    long double unit_ns = get_unit_ns(end);

    if (end == text || unit_ns == 0 || !isfinite(number))
        return fault;
    if (signbit(number))
        return "is negative, but a time is 0 or more";
    long double ns = roundl(number * unit_ns);
    if (number > 0 && ns < 1)
        return "is less than a nanosecond";
    if (ns / 1e9L > UINT_MAX)
        return "is too long, a time is at most 4294967295 seconds";
    uint64_t whole_ns = (uint64_t)ns;
    *sec = (unsigned)(whole_ns / 1000000000);
    *nsec = (unsigned)(whole_ns % 1000000000);
    return NULL;
}
