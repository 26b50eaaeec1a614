/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns sh.timeout, sh.grace and the moment when the server began to stop. The
 * parameters change only while the server is configured; any thread reads
 * them. Calls the server's functions.
 */
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "limits.h"

#define NANOSECONDS_PER_SECOND INT64_C(1000000000)

/*
 * Calls that begin when the grace is nearly or fully over still get a moment,
 * so that close and unload work after another method hung. Where there are
 * many of them, the last ones do not even begin: the server must be gone two
 * seconds after the grace.
 */
#define LAST_MOMENT_NS (250 * LIMITS_NANOSECONDS_PER_MS)
#define MOMENTS_NS (1400 * LIMITS_NANOSECONDS_PER_MS)

static int64_t timeout_ns;
static int64_t grace_ns = 5 * NANOSECONDS_PER_SECOND;
static _Atomic int64_t stop_ns; /* 0 until the server is seen to stop */

static struct parameter {
    const char *key;
    int64_t *target_ns;
    bool is_given;
} parameters[] = {
    { "sh.timeout", &timeout_ns, false },
    { "sh.grace", &grace_ns, false },
};

static struct parameter *find_parameter(const char *key)
{
    for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++)
        if (strcmp(key, parameters[i].key) == 0)
            return &parameters[i];
    nbdkit_error("unknown parameter '%s': of the parameters that begin with 'sh.' there are "
                 "sh.timeout=TIME, sh.grace=TIME and sh.process=MODEL",
                 key);
    return NULL;
}

int limits_set_parameter(const char *key, const char *value)
{
    unsigned seconds, nanoseconds;

    if (strncmp(key, "sh.", 3) != 0)
        return 0;
    struct parameter *parameter = find_parameter(key);
    if (!parameter || nbdkit_parse_delay(key, value, &seconds, &nanoseconds) < 0)
        return -1;
    if (parameter->is_given) {
        nbdkit_error("%s is given twice: leave one out", key);
        return -1;
    }
    parameter->is_given = true;
    *parameter->target_ns = seconds * NANOSECONDS_PER_SECOND + nanoseconds;
    return 1;
}

double limits_get_timeout_seconds(void)
{
    return (double)timeout_ns / (double)NANOSECONDS_PER_SECOND;
}

double limits_get_grace_seconds(void)
{
    return (double)grace_ns / (double)NANOSECONDS_PER_SECOND;
}

int64_t limits_read_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * NANOSECONDS_PER_SECOND + now.tv_nsec;
}

void limits_note_stop(int64_t now_ns)
{
    int64_t unset = 0;

    atomic_compare_exchange_strong(&stop_ns, &unset, now_ns);
}

/* When a call has to end that began at start_ns, given that the server stops. */
static struct limits_deadline get_stop_deadline(int64_t start_ns, int64_t stop)
{
    int64_t grace_end = stop + grace_ns;
    struct limits_deadline deadline = { grace_end, LIMITS_STOP, false };

    if (start_ns > stop && start_ns + LAST_MOMENT_NS > grace_end) {
        deadline.when_ns = start_ns + LAST_MOMENT_NS;
        deadline.is_abrupt = true;
    }
    return deadline;
}

struct limits_deadline limits_get_deadline(int64_t start_ns)
{
    struct limits_deadline deadline = { INT64_MAX, LIMITS_NONE, false };
    int64_t stop = atomic_load(&stop_ns);

    if (timeout_ns > 0)
        deadline = (struct limits_deadline){ start_ns + timeout_ns, LIMITS_TIMEOUT, false };
    if (stop != 0) {
        struct limits_deadline at_stop = get_stop_deadline(start_ns, stop);
        if (at_stop.when_ns < deadline.when_ns)
            deadline = at_stop;
        deadline.is_abrupt = at_stop.is_abrupt;
    }
    return deadline;
}

static bool is_over(int64_t after_grace_ns)
{
    int64_t stop = atomic_load(&stop_ns);

    return stop != 0 && limits_read_clock() > stop + grace_ns + after_grace_ns;
}

bool limits_is_grace_over(void)
{
    return is_over(0);
}

bool limits_is_too_late(void)
{
    return is_over(MOMENTS_NS);
}
