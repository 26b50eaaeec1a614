/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long a call of the script may take: sh.timeout for each call, and
 * sh.grace once the server begins to stop. Parameters are set while the server
 * is configured; the rest may be called from any thread, without locks.
 */
#ifndef LIMITS_H
#define LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#define LIMITS_NANOSECONDS_PER_MS INT64_C(1000000)

/*
 * Takes a parameter whose key begins with "sh.". Returns 1 if it was taken, 0
 * if the key is not of this kind, or -1 after nbdkit_error.
 */
int limits_set_parameter(const char *key, const char *value);

/* Seconds, as the user gave them or by default. */
double limits_get_timeout_seconds(void);
double limits_get_grace_seconds(void);

/* Nanoseconds of the monotonic clock. */
int64_t limits_read_clock(void);

/* Notes that the server was seen to stop; the first moment noted counts. */
void limits_note_stop(int64_t now_ns);

/* LIMITS_SURPLUS: the program prints without end, see spawn.c. */
enum limits_cause { LIMITS_NONE, LIMITS_TIMEOUT, LIMITS_STOP, LIMITS_SURPLUS };

struct limits_deadline {
    int64_t when_ns; /* INT64_MAX if there is none */
    enum limits_cause cause;
    bool is_abrupt; /* the server's patience is over: SIGKILL, not SIGTERM */
};

/* When a call that began at start_ns has to end, as far as is known now. */
struct limits_deadline limits_get_deadline(int64_t start_ns);

/* True if the server began to stop more than sh.grace ago. */
bool limits_is_grace_over(void);

/* Has the server been stopping for so long that no call may begin any more? */
bool limits_is_too_late(void);

#endif
