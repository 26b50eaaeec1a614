/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The script: a module with functions that have the names of callbacks. All
 * functions here are called with the interpreter's lock held.
 */
#ifndef SCRIPT_H
#define SCRIPT_H

#include <stdbool.h>

#include "interpreter.h"

enum script_function {
    SCRIPT_AFTER_FORK,
    SCRIPT_BLOCK_SIZE,
    SCRIPT_CACHE,
    SCRIPT_CAN_CACHE,
    SCRIPT_CAN_EXTENTS,
    SCRIPT_CAN_FAST_ZERO,
    SCRIPT_CAN_FLUSH,
    SCRIPT_CAN_FUA,
    SCRIPT_CAN_MULTI_CONN,
    SCRIPT_CAN_TRIM,
    SCRIPT_CAN_WRITE,
    SCRIPT_CAN_ZERO,
    SCRIPT_CLEANUP,
    SCRIPT_CLOSE,
    SCRIPT_CONFIG,
    SCRIPT_CONFIG_COMPLETE,
    SCRIPT_DEFAULT_EXPORT,
    SCRIPT_DUMP_PLUGIN,
    SCRIPT_EXPORT_DESCRIPTION,
    SCRIPT_EXTENTS,
    SCRIPT_FLUSH,
    SCRIPT_GET_READY,
    SCRIPT_GET_SIZE,
    SCRIPT_IS_ROTATIONAL,
    SCRIPT_LIST_EXPORTS,
    SCRIPT_OPEN,
    SCRIPT_PREAD,
    SCRIPT_PRECONNECT,
    SCRIPT_PWRITE,
    SCRIPT_THREAD_MODEL,
    SCRIPT_TRIM,
    SCRIPT_ZERO,
    SCRIPT_FUNCTIONS /* their number */
};

/*
 * Runs the file `path`, or the text on standard input if that is "-", as the
 * module __main__, and checks that it has what a disk needs. The interpreter
 * has been started. Returns 0, or -1 after logging.
 */
int script_load(const char *path);

/* Gives up the module, if there is one. */
void script_unload(void);

/* The name that the user gave, "inline script" for one from standard input; NULL before. */
const char *script_get_name(void);

enum { SCRIPT_API_VERSION_MAX = 2 };

/* 1 to SCRIPT_API_VERSION_MAX; what API_VERSION says. */
long script_get_api_version(void);

/* The function's name, as in the script. */
const char *script_get_function_name(enum script_function function);

/* Does the script have the function now? */
bool script_has(enum script_function function);

/* A variable of the script's, a borrowed reference, or NULL without an exception. */
PyObject *script_get_variable(const char *name);

/*
 * Calls the function with `count` arguments, whose references it takes; a NULL among them stands
 * for an exception that making it raised. Returns a new reference, or NULL after
 * fault_report(). The function must exist.
 */
PyObject *script_call(enum script_function function, PyObject *arguments[], size_t count);

/* For script_call(): its arguments as an array and their number. */
#define SCRIPT_ARGUMENTS(...)                                                                      \
    (PyObject *[]){ NULL, __VA_ARGS__ } + 1,                                                       \
        sizeof((PyObject *[]){ __VA_ARGS__ }) / sizeof(PyObject *)
#define SCRIPT_NO_ARGUMENTS (PyObject *[]){ NULL, NULL } + 1, 0

/* The same for a function whose result is of no interest. Returns 0 or -1. */
int script_run(enum script_function function, PyObject *arguments[], size_t count);

#endif
