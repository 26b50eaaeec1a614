/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One call of OCaml from C: the arguments become OCaml's, the function runs,
 * and what it returns, or the exception that it ends with, becomes C's.
 */
#ifndef CALL_H
#define CALL_H

#include <stdbool.h>
#include <stdint.h>

#include <caml/mlvalues.h>

#include "methods.h"

#define CALL_MAX_ARGUMENTS 4

struct argument {
    enum {
        ARGUMENT_HANDLE,
        ARGUMENT_BOOL,
        ARGUMENT_TEXT,
        ARGUMENT_INT64,
        ARGUMENT_BUFFER,
        ARGUMENT_FLAGS,
        ARGUMENT_UNIT
    } kind;
    union {
        value *handle;
        const char *text;
        const void *buffer;
        uint64_t number;
    };
    uint32_t length; /* of the buffer, in bytes */
};

/*
 * Makes a C result of OCaml's, for a callback that asked with `answer`.
 * Returns the callback's result, or -1 after nbdkit_error(). Runs with the
 * runtime held; must not allocate in OCaml's heap.
 */
typedef int64_t call_decode(value result, void *answer);

/* The record of the plugin's callbacks; before the first call, with the runtime held. */
void call_set_callbacks(value callbacks);
bool call_is_registered(void);

/* Whether the plugin has this callback; with the runtime held. */
bool call_has(enum method method);

/*
 * Calls a callback that the plugin has, from a thread that does not hold the
 * runtime. Returns what `decode` does, 0 without one; -1 after an exception,
 * which is logged, and whose errno the client gets.
 */
int64_t call_run(enum method method, const struct argument *arguments, int count,
                 call_decode *decode, void *answer);

/*
 * The text about an exception of `where`, and its errno or 0; with the runtime
 * held. The text is the caller's to free, with caml_stat_free().
 */
char *call_describe(const char *where, value exception, int *error);

/* nbdkit_set_error() for the thread's callback: its exception's errno does not count then. */
void call_set_error(int error);

/*
 * Raises Failure(what), after a function of the server has logged why and left
 * its errno: it is not logged once more if the callback ends with it. With the
 * runtime held, by a function that OCaml called.
 */
void call_fail_reported(const char *what) __attribute__((__noreturn__));

/* The same with Invalid_argument(what). */
void call_refuse_reported(const char *what) __attribute__((__noreturn__));

#endif
