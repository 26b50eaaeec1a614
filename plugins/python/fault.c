/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a Python exception to a message and an errno. Owns the script's name, and the errno that
 * the thread's callback has set. Any thread with the lock; calls hint, Python and
 * the plugin API.
 */
#include "fault.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "hint.h"
#include "interpreter.h"

static const char *script_name;
static __thread int chosen_error; /* 0: none */

void fault_set_script(const char *name)
{
    script_name = name;
}

void fault_begin(void)
{
    chosen_error = 0;
}

void fault_set_error(int error)
{
    chosen_error = error;
    nbdkit_set_error(error);
}

/* An attribute that is a number, 0 if there is none such. */
static int get_number(PyObject *object, const char *name)
{
    CLEANUP_REFERENCE PyObject *number = PyObject_GetAttrString(object, name);
    int value = number == NULL || !PyLong_Check(number) ? 0 : _PyLong_AsInt(number);

    PyErr_Clear();
    return value < 0 ? 0 : value;
}

/* The exception's own errno, 0 if it has none. */
static int get_errno(PyObject *exception)
{
    if (PyErr_GivenExceptionMatches(exception, PyExc_MemoryError))
        return ENOMEM;
    return PyErr_GivenExceptionMatches(exception, PyExc_OSError) ? get_number(exception, "errno")
                                                                 : 0;
}

/* Does this step of a traceback stand in the script's file? */
static bool is_in_script(const PyTracebackObject *step)
{
    PyCodeObject *code = PyFrame_GetCode(step->tb_frame);
    const char *file = PyUnicode_AsUTF8(code->co_filename);
    bool is_here = file != NULL && strcmp(file, script_name) == 0;

    PyErr_Clear();
    Py_DECREF(code);
    return is_here;
}

/* The step of the traceback where the script was left for good, or NULL. */
static PyTracebackObject *find_last_step(PyObject *traceback)
{
    PyTracebackObject *last = NULL;

    for (PyTracebackObject *step = (PyTracebackObject *)traceback; step != NULL;
         step = step->tb_next) {
        if (is_in_script(step))
            last = step;
    }
    return last;
}

/* The line where that was, 0 if it is not known. */
static int find_line(PyObject *exception, PyTracebackObject *step)
{
    int line = step == NULL ? 0 : get_number((PyObject *)step, "tb_lineno");

    /* A SyntaxError says where it is by itself. */
    if (line == 0 && PyErr_GivenExceptionMatches(exception, PyExc_SyntaxError))
        line = get_number(exception, "lineno");
    return line;
}

/* "TYPE: MESSAGE", a new reference, or NULL. */
static PyObject *describe(PyObject *exception)
{
    const char *type = Py_TYPE(exception)->tp_name;
    /* str() of a SyntaxError repeats its place. */
    bool is_syntax = PyErr_GivenExceptionMatches(exception, PyExc_SyntaxError);
    CLEANUP_REFERENCE PyObject *text =
        is_syntax ? PyObject_GetAttrString(exception, "msg") : PyObject_Str(exception);

    if (text == NULL || !PyUnicode_Check(text)) {
        PyErr_Clear();
        return PyUnicode_FromFormat("%s: (its text cannot be had)", type);
    }
    return PyUnicode_GetLength(text) == 0 ? PyUnicode_FromString(type)
                                          : PyUnicode_FromFormat("%s: %U", type, text);
}

/*
 * The traceback as Python prints it, a line each. The first has "error: Traceback" in it, as in
 * nbdkit, for scripts that look for that.
 */
static void debug_traceback(const char *function, PyObject *exception, PyObject *traceback)
{
    CLEANUP_REFERENCE PyObject *module = PyImport_ImportModule("traceback");
    CLEANUP_REFERENCE PyObject *parts =
        module == NULL ? NULL
                       : PyObject_CallMethod(module, "format_exception", "OOO", Py_TYPE(exception),
                                             exception, traceback == NULL ? Py_None : traceback);
    CLEANUP_REFERENCE PyObject *nothing = PyUnicode_FromString("");
    CLEANUP_REFERENCE PyObject *text = parts == NULL ? NULL : PyUnicode_Join(nothing, parts);
    const char *line = text == NULL ? NULL : PyUnicode_AsUTF8(text);

    for (bool is_first = true; line != NULL && *line != '\0'; is_first = false) {
        size_t length = strcspn(line, "\n");
        if (is_first)
            nbdkit_debug("%s: %s%serror: %.*s", script_name, function == NULL ? "" : function,
                         function == NULL ? "" : ": ", (int)length, line);
        else
            nbdkit_debug("%.*s", (int)length, line);
        line += length + (line[length] == '\n');
    }
    PyErr_Clear();
}

/* The text in UTF-8, on one line and without NUL, or NULL. */
static PyObject *encode(PyObject *text)
{
    PyObject *bytes = PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace");

    for (Py_ssize_t i = 0; bytes != NULL && i < PyBytes_GET_SIZE(bytes); i++) {
        char *byte = PyBytes_AS_STRING(bytes) + i;
        if (*byte == '\n' || *byte == '\0')
            *byte = ' ';
    }
    return bytes;
}

/* What to say after the exception's text, or "". */
static const char *choose_hint(PyObject *exception, PyTracebackObject *step, const char *type_hint)
{
    if (*type_hint != '\0' && PyErr_GivenExceptionMatches(exception, PyExc_TypeError))
        return type_hint;
    CLEANUP_REFERENCE PyObject *code =
        step == NULL ? NULL : (PyObject *)PyFrame_GetCode(step->tb_frame);
    return hint_about_open(exception, code);
}

static void log_exception(const char *function, PyObject *exception, PyObject *traceback,
                          const char *type_hint)
{
    CLEANUP_REFERENCE PyObject *description = describe(exception);
    CLEANUP_REFERENCE PyObject *encoded = description == NULL ? NULL : encode(description);
    const char *text = encoded == NULL ? "an exception" : PyBytes_AS_STRING(encoded);
    const char *file = script_name;
    PyTracebackObject *step = find_last_step(traceback);
    int line = find_line(exception, step);
    char place[16] = "";

    if (line > 0)
        snprintf(place, sizeof place, ":%d", line);
    /* A refusal to zero is how a script asks for pwrite instead. */
    if (function != NULL && strcmp(function, "zero") == 0 &&
        (chosen_error == EOPNOTSUPP || chosen_error == ENOTSUP))
        nbdkit_debug("%s%s: %s: %s", file, place, function, text);
    else
        nbdkit_error("%s%s: %s%s%s%s", file, place, function == NULL ? "" : function,
                     function == NULL ? "" : ": ", text, choose_hint(exception, step, type_hint));
    PyErr_Clear();
}

void fault_report(const char *function)
{
    fault_report_call(function, "");
}

void fault_report_call(const char *function, const char *type_hint)
{
    PyObject *type, *exception, *traceback;

    PyErr_Fetch(&type, &exception, &traceback);
    PyErr_NormalizeException(&type, &exception, &traceback);
    if (chosen_error == 0 && exception != NULL && get_errno(exception) != 0)
        fault_set_error(get_errno(exception));
    if (exception == NULL) {
        nbdkit_error("%s: %s: failed without an exception", script_name, function);
    } else {
        log_exception(function, exception, traceback, type_hint);
        debug_traceback(function, exception, traceback);
    }
    Py_XDECREF(type);
    Py_XDECREF(exception);
    Py_XDECREF(traceback);
}

void fault_reject(const char *function, void *answer, const char *remedy)
{
    CLEANUP_REFERENCE PyObject *shown = answer == NULL ? NULL : PyObject_ASCII(answer);
    const char *text = shown == NULL ? "what cannot be printed" : PyUnicode_AsUTF8(shown);

    PyErr_Clear();
    nbdkit_error("%s: %s: returned %.100s: %s", script_name, function, text, remedy);
}
