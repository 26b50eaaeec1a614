// SPDX-License-Identifier: BSD-3-Clause
/*
 * The public nbdkit_* functions that read parameters: numbers, sizes, times.
 * Entered by any thread, mostly the main thread at start-up; calls parse and
 * log.
 */
#include <errno.h>
#include <limits.h>

#include "log.h"
#define NBDKIT_API_VERSION 2
#include "nbdkit-plugin.h"
#include "parse.h"

/* Logs what is wrong with `text`, if anything. Returns 0 or -1. */
static int judge(const char *what, const char *text, const char *fault)
{
    char quoted[LOG_QUOTED_MAX];

    if (!fault)
        return 0;
    nbdkit_error("%s: %s %s", what, log_quote(quoted, text), fault);
    errno = EINVAL;
    return -1;
}

int64_t nbdkit_parse_size(const char *str)
{
    int64_t bytes = -1;

    return judge("size", str, parse_size(str, &bytes)) < 0 ? -1 : bytes;
}

int nbdkit_parse_bool(const char *str)
{
    bool value = false;

    return judge("boolean", str, parse_bool(str, &value)) < 0 ? -1 : value;
}

int nbdkit_parse_probability(const char *what, const char *str, double *r)
{
    double value;

    if (judge(what, str, parse_probability(str, &value)) < 0)
        return -1;
    if (r)
        *r = value;
    return 0;
}

int nbdkit_parse_delay(const char *what, const char *str, unsigned *sec, unsigned *nsec)
{
    return judge(what, str, parse_delay(str, sec, nsec));
}

#define DEFINE_SIGNED(name, type, minimum, maximum)                                                \
    int name(const char *what, const char *str, type *r)                                           \
    {                                                                                              \
        int64_t value;                                                                             \
                                                                                                   \
        if (judge(what, str, parse_signed(str, minimum, maximum, &value)) < 0)                     \
            return -1;                                                                             \
        if (r)                                                                                     \
            *r = (type)value;                                                                      \
        return 0;                                                                                  \
    }

#define DEFINE_UNSIGNED(name, type, maximum)                                                       \
    int name(const char *what, const char *str, type *r)                                           \
    {                                                                                              \
        uint64_t value;                                                                            \
                                                                                                   \
        if (judge(what, str, parse_unsigned(str, maximum, &value)) < 0)                            \
            return -1;                                                                             \
        if (r)                                                                                     \
            *r = (type)value;                                                                      \
        return 0;                                                                                  \
    }

DEFINE_SIGNED(nbdkit_parse_int, int, INT_MIN, INT_MAX)
DEFINE_SIGNED(nbdkit_parse_int8_t, int8_t, INT8_MIN, INT8_MAX)
DEFINE_SIGNED(nbdkit_parse_int16_t, int16_t, INT16_MIN, INT16_MAX)
DEFINE_SIGNED(nbdkit_parse_int32_t, int32_t, INT32_MIN, INT32_MAX)
DEFINE_SIGNED(nbdkit_parse_int64_t, int64_t, INT64_MIN, INT64_MAX)
DEFINE_UNSIGNED(nbdkit_parse_unsigned, unsigned, UINT_MAX)
DEFINE_UNSIGNED(nbdkit_parse_uint8_t, uint8_t, UINT8_MAX)
DEFINE_UNSIGNED(nbdkit_parse_uint16_t, uint16_t, UINT16_MAX)
DEFINE_UNSIGNED(nbdkit_parse_uint32_t, uint32_t, UINT32_MAX)
DEFINE_UNSIGNED(nbdkit_parse_uint64_t, uint64_t, UINT64_MAX)
