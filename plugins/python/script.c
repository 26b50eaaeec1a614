/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The script. Owns the module that it runs as. Its functions are looked up for
 * each call, so that a script may replace them. Any thread with the lock; calls fault and Python.
 */
#include "script.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "fault.h"
#include "input.h"

enum { SOURCE_BYTES_MAX = 64 << 20, ARGUMENTS_MAX = 8 };

static const char *const names[] = {
    [SCRIPT_AFTER_FORK] = "after_fork",
    [SCRIPT_BLOCK_SIZE] = "block_size",
    [SCRIPT_CACHE] = "cache",
    [SCRIPT_CAN_CACHE] = "can_cache",
    [SCRIPT_CAN_EXTENTS] = "can_extents",
    [SCRIPT_CAN_FAST_ZERO] = "can_fast_zero",
    [SCRIPT_CAN_FLUSH] = "can_flush",
    [SCRIPT_CAN_FUA] = "can_fua",
    [SCRIPT_CAN_MULTI_CONN] = "can_multi_conn",
    [SCRIPT_CAN_TRIM] = "can_trim",
    [SCRIPT_CAN_WRITE] = "can_write",
    [SCRIPT_CAN_ZERO] = "can_zero",
    [SCRIPT_CLEANUP] = "cleanup",
    [SCRIPT_CLOSE] = "close",
    [SCRIPT_CONFIG] = "config",
    [SCRIPT_CONFIG_COMPLETE] = "config_complete",
    [SCRIPT_DEFAULT_EXPORT] = "default_export",
    [SCRIPT_DUMP_PLUGIN] = "dump_plugin",
    [SCRIPT_EXPORT_DESCRIPTION] = "export_description",
    [SCRIPT_EXTENTS] = "extents",
    [SCRIPT_FLUSH] = "flush",
    [SCRIPT_GET_READY] = "get_ready",
    [SCRIPT_GET_SIZE] = "get_size",
    [SCRIPT_IS_ROTATIONAL] = "is_rotational",
    [SCRIPT_LIST_EXPORTS] = "list_exports",
    [SCRIPT_OPEN] = "open",
    [SCRIPT_PREAD] = "pread",
    [SCRIPT_PRECONNECT] = "preconnect",
    [SCRIPT_PWRITE] = "pwrite",
    [SCRIPT_THREAD_MODEL] = "thread_model",
    [SCRIPT_TRIM] = "trim",
    [SCRIPT_ZERO] = "zero",
};
/* How those are called in version 1 that have other arguments in version 2. */
#define WITHOUT_VERSION(call)                                                                      \
    ": without API_VERSION = 2 in the script it is called as " call ", as in version 1"
static const char *const version_1_hints[SCRIPT_FUNCTIONS] = {
    [SCRIPT_FLUSH] = WITHOUT_VERSION("flush(h)"),
    [SCRIPT_PREAD] = WITHOUT_VERSION("pread(h, count, offset)"),
    [SCRIPT_PWRITE] = WITHOUT_VERSION("pwrite(h, buf, offset)"),
    [SCRIPT_TRIM] = WITHOUT_VERSION("trim(h, count, offset)"),
};
_Static_assert(sizeof names / sizeof names[0] == SCRIPT_FUNCTIONS, "each function has a name");

static const char *script_name;                    /* the user's; NULL until it is loaded */
static PyObject *variables;                        /* of the module __main__ */
static PyObject *interned_names[SCRIPT_FUNCTIONS]; /* names[], as Python wants them */
static long api_version = 1;
static bool has_api_version; /* does the script name one? */

/* The whole file, which the caller frees, or NULL after logging. */
static char *read_source(const char *path)
{
    bool is_inline = strcmp(path, "-") == 0;

    if (is_inline && input_check("script") == -1)
        return NULL;
    FILE *file = is_inline ? stdin : fopen(path, "re");
    char *text = file == NULL ? NULL : malloc(SOURCE_BYTES_MAX);
    size_t length = text == NULL ? 0 : fread(text, 1, SOURCE_BYTES_MAX - 1, file);

    if (file == NULL || text == NULL || ferror(file)) {
        nbdkit_error("%s: %s", path, strerror(errno));
        free(text);
        text = NULL;
    } else if (length == SOURCE_BYTES_MAX - 1 || memchr(text, '\0', length) != NULL) {
        nbdkit_error("%s: not a Python script: it %s", path,
                     length == SOURCE_BYTES_MAX - 1 ? "is too long" : "has NUL bytes");
        free(text);
        text = NULL;
    } else {
        text[length] = '\0';
    }
    if (file != NULL && !is_inline)
        fclose(file);
    return text;
}

static int run_source(const char *source)
{
    PyObject *module = PyImport_AddModule("__main__");
    variables = module == NULL ? NULL : PyModule_GetDict(module);
    CLEANUP_REFERENCE PyObject *file = PyUnicode_DecodeFSDefault(script_name);
    CLEANUP_REFERENCE PyObject *code = Py_CompileString(source, script_name, Py_file_input);
    CLEANUP_REFERENCE PyObject *result = NULL;

    if (variables != NULL && file != NULL && code != NULL &&
        PyDict_SetItemString(variables, "__file__", file) == 0)
        result = PyEval_EvalCode(code, variables, variables);
    if (result == NULL)
        fault_report(NULL);
    Py_XINCREF(variables);
    return result == NULL ? -1 : 0;
}

/* Reads API_VERSION, which is 1 where the script says nothing. */
static int read_api_version(void)
{
    PyObject *value = script_get_variable("API_VERSION");

    has_api_version = value != NULL;
    api_version = value == NULL ? 1 : PyLong_AsLong(value);
    if (api_version >= 1 && api_version <= SCRIPT_API_VERSION_MAX)
        return 0;
    PyErr_Clear();
    nbdkit_error("%s: API_VERSION must be 1 or 2", script_name);
    return -1;
}

static int check_required(void)
{
    static const enum script_function required[] = { SCRIPT_OPEN, SCRIPT_GET_SIZE, SCRIPT_PREAD };

    for (size_t i = 0; i < sizeof required / sizeof required[0]; i++) {
        if (!script_has(required[i])) {
            nbdkit_error(
                "%s: there is no function '%s' in the script: a disk needs open(readonly), "
                "get_size(h) and pread(h, buf, offset, flags)",
                script_name, names[required[i]]);
            return -1;
        }
    }
    return 0;
}

static int intern_names(void)
{
    for (int i = 0; i < SCRIPT_FUNCTIONS; i++) {
        if ((interned_names[i] = PyUnicode_InternFromString(names[i])) == NULL) {
            fault_report(NULL);
            return -1;
        }
    }
    return 0;
}

int script_load(const char *path)
{
    char *source = read_source(path);
    if (source == NULL)
        return -1;
    script_name = strcmp(path, "-") == 0 ? "inline script" : path;
    fault_set_script(script_name);
    int result = intern_names() == 0 && run_source(source) == 0 ? 0 : -1;
    free(source);
    return result == 0 && read_api_version() == 0 && check_required() == 0 ? 0 : -1;
}

void script_unload(void)
{
    Py_CLEAR(variables);
    for (int i = 0; i < SCRIPT_FUNCTIONS; i++)
        Py_CLEAR(interned_names[i]);
}

const char *script_get_name(void)
{
    return script_name;
}

long script_get_api_version(void)
{
    return api_version;
}

const char *script_get_function_name(enum script_function function)
{
    return names[function];
}

/* A borrowed reference, or NULL. */
static PyObject *find(enum script_function function)
{
    PyObject *value =
        variables == NULL ? NULL : PyDict_GetItemWithError(variables, interned_names[function]);

    return value != NULL && PyCallable_Check(value) ? value : NULL;
}

bool script_has(enum script_function function)
{
    return find(function) != NULL;
}

PyObject *script_get_variable(const char *name)
{
    return variables == NULL ? NULL : PyDict_GetItemString(variables, name);
}

PyObject *script_call(enum script_function function, PyObject *arguments[], size_t count)
{
    PyObject *called = find(function);
    PyObject *result = NULL;
    bool is_complete = true;

    fault_begin();
    for (size_t i = 0; i < count; i++)
        is_complete = is_complete && arguments[i] != NULL;
    Py_XINCREF(called);
    if (called == NULL)
        PyErr_Format(PyExc_NameError, "the script's function '%s' is gone", names[function]);
    else if (is_complete)
        result =
            PyObject_Vectorcall(called, arguments, count | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    Py_XDECREF(called);
    for (size_t i = 0; i < count; i++)
        Py_XDECREF(arguments[i]);
    if (result == NULL)
        fault_report_call(names[function], has_api_version || version_1_hints[function] == NULL
                                               ? ""
                                               : version_1_hints[function]);
    return result;
}

int script_run(enum script_function function, PyObject *arguments[], size_t count)
{
    CLEANUP_REFERENCE PyObject *result = script_call(function, arguments, count);

    return result == NULL ? -1 : 0;
}
