/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Calls the parsers: a parameter FUNCTION=TEXT prints "FUNCTION(TEXT) = RESULT", or "= error". It
 * says "= error, changed" if the parser failed and stored something all the same. The program ends
 * after the last parameter. locale=NAME sets the locale, real=0,5 shows what it does. Servers that
 * do not have a function yet can load it, too: "= absent".
 */
#include <inttypes.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

/* Not in nbdkit 1.32. */
#pragma weak nbdkit_parse_probability
#pragma weak nbdkit_parse_delay

#define TRY_INTEGER(function, type, format)                                                        \
    if (strcmp(key, #function) == 0) {                                                             \
        type result = 77;                                                                          \
        if (nbdkit_parse_##function("it", value, &result) == 0)                                    \
            printf("%" format "\n", result);                                                       \
        else                                                                                       \
            puts(result == 77 ? "error" : "error, changed");                                       \
        return 0;                                                                                  \
    }

static int try_probability(const char *value)
{
    double result = 77;

    if (!nbdkit_parse_probability)
        puts("absent");
    else if (nbdkit_parse_probability("it", value, &result) == 0)
        printf("%.17g\n", result);
    else
        puts(result == 77 ? "error" : "error, changed");
    return 0;
}

static int try_delay(const char *value)
{
    unsigned sec = 77;
    unsigned nsec = 77;

    if (!nbdkit_parse_delay)
        puts("absent");
    else if (nbdkit_parse_delay("it", value, &sec, &nsec) == 0)
        printf("%u.%09u\n", sec, nsec);
    else
        puts(sec == 77 && nsec == 77 ? "error" : "error, changed");
    return 0;
}

static int print_number(int64_t result)
{
    if (result == -1)
        puts("error");
    else
        printf("%" PRId64 "\n", result);
    return 0;
}

static int parsers_config(const char *key, const char *value)
{
    if (strcmp(key, "locale") == 0)
        return setlocale(LC_ALL, value) ? 0 : -1;
    if (strcmp(key, "real") == 0) {
        printf("strtod(%s) = %s\n", value, strtod(value, NULL) == 0.5 ? "0.5" : "another");
        return 0;
    }
    fputs(key, stdout);
    putchar('(');
    fputs(value, stdout);
    fputs(") = ", stdout);
    TRY_INTEGER(int, int, "d")
    TRY_INTEGER(unsigned, unsigned, "u")
    TRY_INTEGER(int8_t, int8_t, PRId8)
    TRY_INTEGER(uint8_t, uint8_t, PRIu8)
    TRY_INTEGER(int16_t, int16_t, PRId16)
    TRY_INTEGER(uint16_t, uint16_t, PRIu16)
    TRY_INTEGER(int32_t, int32_t, PRId32)
    TRY_INTEGER(uint32_t, uint32_t, PRIu32)
    TRY_INTEGER(int64_t, int64_t, PRId64)
    TRY_INTEGER(uint64_t, uint64_t, PRIu64)
    if (strcmp(key, "probability") == 0)
        return try_probability(value);
    if (strcmp(key, "delay") == 0)
        return try_delay(value);
    if (strcmp(key, "size") == 0)
        return print_number(nbdkit_parse_size(value));
    if (strcmp(key, "bool") == 0)
        return print_number(nbdkit_parse_bool(value));
    return -1;
}

static int parsers_config_complete(void)
{
    fflush(stdout);
    exit(0);
}

static void *parsers_open(int readonly)
{
    (void)readonly;
    return NULL;
}

static int64_t parsers_get_size(void *handle)
{
    (void)handle;
    return -1;
}

static int parsers_pread(void *handle, void *buffer, uint32_t count, uint64_t offset,
                         uint32_t flags)
{
    (void)handle;
    (void)buffer;
    (void)count;
    (void)offset;
    (void)flags;
    return -1;
}

static struct nbdkit_plugin plugin = {
    .name = "parsers",
    .config = parsers_config,
    .config_complete = parsers_config_complete,
    .open = parsers_open,
    .get_size = parsers_get_size,
    .pread = parsers_pread,
};

NBDKIT_REGISTER_PLUGIN(plugin)
