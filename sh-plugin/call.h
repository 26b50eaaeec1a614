/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One call of the script: run it, decode its exit status, apply the effect,
 * log. Any thread; no locks.
 */
#ifndef CALL_H
#define CALL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "status.h"

#define CALL_ARGUMENTS_MAX 4
#define CALL_ERRORS_MAX 65536 /* bytes of stderr that are kept */

/* The arguments of a call; NULL for none. */
#define CALL_ARGUMENTS(...) ((const char *const[]){ __VA_ARGS__, NULL })

struct call {
    const char *method;
    const char *const *arguments; /* after the method, at most CALL_ARGUMENTS_MAX; NULL ends them */
    const void *input;            /* NULL: the script's stdin is /dev/null */
    size_t input_length;          /* bytes */
    struct buf *output;           /* takes what the script prints */
    struct buf *errors;           /* takes what it writes to stderr, for call_refuse; may be NULL */
    bool is_boolean;              /* exit status 3 is an answer */
    const char *missing_hint;     /* if not NULL, it is an error that there is no such method */
};

/* The hint for a method that another one (a string literal) promised. */
#define CALL_PROMISED_BY(question)                                                                 \
    question " says that there is: write it, or let " question " say no"

/*
 * Makes the call. STATUS_ERROR has been logged, nbdkit_set_error called, and errno set.
 * STATUS_MISSING is returned only to a call without missing_hint, STATUS_FALSE
 * only to a boolean call. The output of a call that succeeds is not looked at:
 * it may be too long, or too short.
 */
enum status_result call_run(const struct call *call);

/*
 * Logs "SCRIPT: METHOD: " and the message, and makes errno_value the callback's
 * error, and errno. Returns -1.
 */
int call_fail(const char *method, int errno_value, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * Does the same where a call that succeeded is refused for what it printed: the
 * message ends with what the script wrote to stderr, which is where a pipe whose
 * last command succeeded tells of the others.
 */
int call_refuse(const struct call *call, int errno_value, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Warns of what a call that succeeded printed, likewise, and has it not fail. */
void call_warn(const struct call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Warns of what a method does not do, once per server: what its author hardly
 * meant. `name` is the method's.
 */
#define CALL_HINT_ONCE(name, ...)                                                                  \
    do {                                                                                           \
        static atomic_flag is_given_ = ATOMIC_FLAG_INIT;                                           \
        if (!atomic_flag_test_and_set(&is_given_))                                                 \
            call_warn(&(struct call){ .method = (name) }, __VA_ARGS__);                            \
    } while (0)

/* Asks the server for what an exit status asks for: to shut down, or to disconnect the client. */
void call_apply_effect(enum status_effect effect);

#endif
