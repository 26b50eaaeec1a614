// SPDX-License-Identifier: BSD-3-Clause
/*
 * What the values of options may be. Entered by the main thread at start-up;
 * calls log, exports and the API's parsers.
 */
#include "values.h"

#include <ctype.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "exports.h"
#include "log.h"
#define NBDKIT_API_VERSION 2
#include "nbdkit-plugin.h"
#include "parse.h"
#include "policy.h"

enum { THREADS_MAX = 1024 };
#define IN_FLIGHT_MIN_BYTES (INT64_C(256) * 1024 * 1024)

static int parse_number(const char *option, const char *value, unsigned maximum, unsigned *number)
{
    unsigned parsed;

    if (nbdkit_parse_unsigned(option, value, &parsed) < 0)
        return -1;
    if (parsed < 1 || parsed > maximum) {
        log_error("%s: %s is not a number from 1 to %u", option, value, maximum);
        return -1;
    }
    *number = parsed;
    return 0;
}

int values_read_bytes_in_flight(const char *value, void *member)
{
    uint64_t *max_bytes = member;
    int64_t bytes;
    const char *fault = parse_size(value, &bytes);

    if (!fault && bytes < IN_FLIGHT_MIN_BYTES)
        fault = "is too small, at least 256M are needed";
    if (fault) {
        log_error("--bytes-in-flight: \"%s\" %s", value, fault);
        return -1;
    }
    *max_bytes = (uint64_t)bytes;
    return 0;
}

int values_read_connections(const char *value, void *member)
{
    return parse_number("--connections", value, INT_MAX, member);
}

int values_read_export_name(const char *value, void *member)
{
    const char **name = member;

    if (!exports_is_valid_string(value)) {
        log_error("-e/--exportname: the name of an export is UTF-8 of at most 4096 bytes");
        return -1;
    }
    *name = value;
    return 0;
}

int values_read_handshake_mask(const char *value, void *member)
{
    uint16_t *flags = member;
    unsigned mask;

    if (nbdkit_parse_unsigned("--mask-handshake", value, &mask) < 0)
        return -1;
    *flags &= (uint16_t)mask;
    return 0;
}

int values_read_log(const char *value, void *member)
{
    const char **destination = member;

    if (!log_is_destination(value)) {
        log_error("--log: \"%s\" is none of stderr, syslog, null, default and a path that begins "
                  "with a slash",
                  value);
        return -1;
    }
    *destination = value;
    return 0;
}

int values_read_name(const char *value, void *member)
{
    const char **name = member;
    bool is_printable = *value;

    for (const char *c = value; *c; c++)
        is_printable = is_printable && !iscntrl((unsigned char)*c);
    if (!is_printable) {
        log_error("--name: a name has one character at least, and no control characters");
        return -1;
    }
    *name = value;
    return 0;
}

int values_read_port(const char *value, void *member)
{
    return nbdkit_parse_uint32_t("-p/--port", value, member);
}

/* An empty command is one, too. */
int values_read_run_command(const char *value, void *member)
{
    const char **command = member;

    *command = value;
    return 0;
}

int values_read_threads(const char *value, void *member)
{
    return parse_number("-t/--threads", value, THREADS_MAX, member);
}

int values_read_timeout(const char *value, void *member)
{
    unsigned *timeout_ms = member;
    unsigned sec;
    unsigned nsec;

    if (nbdkit_parse_delay("--timeout", value, &sec, &nsec) < 0)
        return -1;
    if (sec > INT_MAX / 1000 - 1) {
        log_error("--timeout: %s is longer than %d seconds; 0 is no limit", value,
                  INT_MAX / 1000 - 1);
        return -1;
    }
    /* Rounded up: a poll(2) of 0 ms would not wait at all. */
    *timeout_ms = sec * 1000 + (nsec + 999999) / 1000000;
    return 0;
}

int values_read_tls(const char *value, void *member)
{
    enum tls_mode *mode = member;
    bool is_on;

    if (strcmp(value, "require") == 0) {
        *mode = TLS_REQUIRE;
        return 0;
    }
    if (parse_bool(value, &is_on)) {
        log_error("--tls: \"%s\" is not one of off, on and require", value);
        return -1;
    }
    *mode = is_on ? TLS_ON : TLS_OFF;
    return 0;
}
