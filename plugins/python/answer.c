/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading what functions of the script return. Any thread with the lock; calls fault. */
#include "answer.h"

#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "fault.h"

int answer_read_boolean(enum script_function function, PyObject *object)
{
    CLEANUP_REFERENCE PyObject *answer = object;
    int truth = answer == NULL ? -1 : PyObject_IsTrue(answer);

    if (truth == -1 && answer != NULL)
        fault_report(script_get_function_name(function));
    return truth;
}

int64_t answer_read_integer(enum script_function function, PyObject *object, int64_t minimum,
                            int64_t maximum, const char *remedy)
{
    CLEANUP_REFERENCE PyObject *answer = object;
    if (answer == NULL)
        return -1;
    CLEANUP_REFERENCE PyObject *number = PyNumber_Index(answer);
    int overflow = 0;
    long long value = number == NULL ? -1 : PyLong_AsLongLongAndOverflow(number, &overflow);

    PyErr_Clear();
    if (number != NULL && overflow == 0 && value >= minimum && value <= maximum)
        return value;
    fault_reject(script_get_function_name(function), answer, remedy);
    return -1;
}

const char *answer_read_text(enum script_function function, PyObject *object)
{
    CLEANUP_REFERENCE PyObject *answer = object;
    Py_ssize_t length = 0;
    const char *text = answer == NULL || !PyUnicode_Check(answer)
                           ? NULL
                           : PyUnicode_AsUTF8AndSize(answer, &length);

    if (text != NULL && strlen(text) == (size_t)length)
        return nbdkit_strdup_intern(text);
    PyErr_Clear();
    if (answer != NULL)
        fault_reject(script_get_function_name(function), answer,
                     "return a string of valid Unicode without NUL");
    return NULL;
}

int answer_read_triple(PyObject *answer, unsigned long long numbers[3])
{
    CLEANUP_REFERENCE PyObject *triple = PySequence_Tuple(answer);
    bool is_triple = triple != NULL && PyTuple_GET_SIZE(triple) == 3;

    for (int i = 0; is_triple && i < 3; i++) {
        numbers[i] = PyLong_AsUnsignedLongLong(PyTuple_GET_ITEM(triple, i));
        is_triple = PyErr_Occurred() == NULL;
    }
    PyErr_Clear();
    return is_triple ? 0 : -1;
}
