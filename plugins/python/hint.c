/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Recognises mistakes by their exceptions. Owns nothing. Any thread with the lock; calls Python.
 */
#include "hint.h"

#include <stdbool.h>
#include <string.h>

/* Does the code use that name, for a variable or an attribute that is not its own? */
static bool uses_name(PyObject *code, const char *name)
{
    CLEANUP_REFERENCE PyObject *names = PyObject_GetAttrString(code, "co_names");
    CLEANUP_REFERENCE PyObject *wanted = PyUnicode_FromString(name);
    bool is_used = names != NULL && wanted != NULL && PySequence_Contains(names, wanted) == 1;

    PyErr_Clear();
    return is_used;
}

static bool is_named(PyObject *code, const char *name)
{
    CLEANUP_REFERENCE PyObject *own = PyObject_GetAttrString(code, "co_name");
    const char *text = own == NULL ? NULL : PyUnicode_AsUTF8(own);

    PyErr_Clear();
    return text != NULL && strcmp(text, name) == 0;
}

/* As a function in Python refuses arguments; those in C, such as os.open, say it in other words. */
static bool is_refused_by_open(const char *text)
{
    return (strncmp(text, "open() takes ", 13) == 0 && strstr(text, " positional argument") &&
            strstr(text, " but ")) ||
           strncmp(text, "open() got an unexpected keyword argument", 41) == 0;
}

/* The script's open was called, or its result used, in the place of a file. */
static bool is_about_open(PyObject *exception, PyObject *code)
{
    CLEANUP_REFERENCE PyObject *string = PyObject_Str(exception);
    const char *text = string == NULL ? NULL : PyUnicode_AsUTF8(string);

    PyErr_Clear();
    if (text == NULL || !uses_name(code, "open"))
        return false;
    if (PyErr_GivenExceptionMatches(exception, PyExc_TypeError))
        return is_refused_by_open(text) || strstr(text, "context manager") != NULL;
    return PyErr_GivenExceptionMatches(exception, PyExc_AttributeError) ||
           (PyErr_GivenExceptionMatches(exception, PyExc_RecursionError) && is_named(code, "open"));
}

const char *hint_about_open(PyObject *exception, PyObject *code)
{
    return code != NULL && is_about_open(exception, code)
               ? ": open() is the script's own here, Python's is builtins.open()"
               : "";
}
