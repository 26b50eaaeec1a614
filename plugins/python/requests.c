/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The callbacks of requests. Any thread; they take the interpreter's lock and call script, view
 * and fault.
 */
#include "callbacks.h"

#include <errno.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "answer.h"
#include "fault.h"
#include "script.h"
#include "view.h"

static PyObject *number(uint64_t value)
{
    return PyLong_FromUnsignedLongLong(value);
}

/* Ends the loan of a request's buffer. Returns `result`, or -1 if the memory is still in use. */
static int take_back(const char *function, PyObject *loan, int result)
{
    if (view_take_back(loan) == 0)
        return result;
    nbdkit_error("%s: %s: the script still uses the buffer of a request that is over, by an array "
                 "for example: copy what you keep",
                 script_get_name(), function);
    return -1;
}

/* Version 1: the script returns the data. */
static int read_v1(void *handle, void *buffer, uint32_t count, uint64_t offset)
{
    Py_buffer data;
    CLEANUP_REFERENCE PyObject *answer = script_call(
        SCRIPT_PREAD, SCRIPT_ARGUMENTS(Py_NewRef(handle), number(count), number(offset)));

    if (answer == NULL)
        return -1;
    if (PyObject_GetBuffer(answer, &data, PyBUF_SIMPLE) != 0) {
        PyErr_Clear();
        fault_reject("pread", answer, "return the data as bytes, bytearray or the like");
        return -1;
    }
    int result = data.len == (Py_ssize_t)count ? 0 : -1;
    if (result == 0)
        memcpy(buffer, data.buf, count);
    else
        nbdkit_error("%s: pread: returned %zd bytes of data instead of %u", script_get_name(),
                     data.len, count);
    PyBuffer_Release(&data);
    return result;
}

/* What the script leaves out of the buffer reads as zeroes, not as the data of another request. */
int requests_pread(void *handle, void *buffer, uint32_t count, uint64_t offset, uint32_t flags)
{
    WITH_INTERPRETER;
    PyObject *view;
    int result = 0;

    if (script_get_api_version() == 1)
        return read_v1(handle, buffer, count, offset);
    memset(buffer, 0, count);
    PyObject *loan = view_lend(buffer, count, false, &view);
    if (loan == NULL) {
        fault_report("pread");
        return -1;
    }
    PyObject *answer = script_call(
        SCRIPT_PREAD, SCRIPT_ARGUMENTS(Py_NewRef(handle), view, number(offset), number(flags)));
    if (answer == NULL) {
        result = -1;
    } else if (PyBytes_Check(answer) || PyByteArray_Check(answer)) {
        nbdkit_error("%s: pread: returned data: with API_VERSION = 2 it fills buf instead: "
                     "buf[:] = data",
                     script_get_name());
        result = -1;
    }
    Py_XDECREF(answer);
    return take_back("pread", loan, result);
}

int requests_pwrite(void *handle, const void *buffer, uint32_t count, uint64_t offset,
                    uint32_t flags)
{
    WITH_INTERPRETER;
    PyObject *view;
    int result;

    PyObject *loan = view_lend((void *)(uintptr_t)buffer, count, true, &view);
    if (loan == NULL) {
        fault_report("pwrite");
        return -1;
    }
    if (script_get_api_version() == 1)
        result =
            script_run(SCRIPT_PWRITE, SCRIPT_ARGUMENTS(Py_NewRef(handle), view, number(offset)));
    else
        result = script_run(SCRIPT_PWRITE, SCRIPT_ARGUMENTS(Py_NewRef(handle), view, number(offset),
                                                            number(flags)));
    return take_back("pwrite", loan, result);
}

int requests_flush(void *handle, uint32_t flags)
{
    WITH_INTERPRETER;

    if (script_get_api_version() == 1)
        return script_run(SCRIPT_FLUSH, SCRIPT_ARGUMENTS(Py_NewRef(handle)));
    return script_run(SCRIPT_FLUSH, SCRIPT_ARGUMENTS(Py_NewRef(handle), number(flags)));
}

/* A request about a range that carries no data. */
static int run_range(enum script_function function, void *handle, uint32_t count, uint64_t offset,
                     uint32_t flags)
{
    return script_run(function, SCRIPT_ARGUMENTS(Py_NewRef(handle), number(count), number(offset),
                                                 number(flags)));
}

int requests_trim(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    WITH_INTERPRETER;

    if (script_get_api_version() == 1)
        return script_run(SCRIPT_TRIM,
                          SCRIPT_ARGUMENTS(Py_NewRef(handle), number(count), number(offset)));
    return run_range(SCRIPT_TRIM, handle, count, offset, flags);
}

int requests_zero(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    WITH_INTERPRETER;

    if (script_get_api_version() == 2)
        return run_range(SCRIPT_ZERO, handle, count, offset, flags);
    if ((flags & NBDKIT_FLAG_FAST_ZERO) != 0) {
        nbdkit_set_error(EOPNOTSUPP);
        return -1;
    }
    PyObject *may_trim = PyBool_FromLong((flags & NBDKIT_FLAG_MAY_TRIM) != 0);
    return script_run(SCRIPT_ZERO,
                      SCRIPT_ARGUMENTS(Py_NewRef(handle), number(count), number(offset), may_trim));
}

/* A script that says it can cache and has no such function has nothing to do for it. */
int requests_cache(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    WITH_INTERPRETER;

    return script_has(SCRIPT_CACHE) ? run_range(SCRIPT_CACHE, handle, count, offset, flags) : 0;
}

/* Adds (OFFSET, LENGTH, TYPE). Returns 0, -1 after logging, or -2 if it is something else. */
static int add_extent(struct nbdkit_extents *extents, PyObject *item)
{
    unsigned long long values[3];

    if (answer_read_triple(item, values) == -1 || values[2] > UINT32_MAX)
        return -2;
    return nbdkit_add_extent(extents, values[0], values[1], (uint32_t)values[2]);
}

int requests_extents(void *handle, uint32_t count, uint64_t offset, uint32_t flags,
                     struct nbdkit_extents *extents)
{
    WITH_INTERPRETER;
    int result = 0;

    CLEANUP_REFERENCE PyObject *answer =
        script_call(SCRIPT_EXTENTS, SCRIPT_ARGUMENTS(Py_NewRef(handle), number(count),
                                                     number(offset), number(flags)));
    CLEANUP_REFERENCE PyObject *iterator = answer == NULL ? NULL : PyObject_GetIter(answer);
    if (iterator == NULL) {
        if (answer != NULL)
            fault_report("extents");
        return -1;
    }
    for (PyObject *item; result == 0 && (item = PyIter_Next(iterator)) != NULL; Py_DECREF(item)) {
        result = add_extent(extents, item);
        if (result == -2)
            fault_reject("extents", item, "return triples (offset, length, type) of integers");
    }
    if (PyErr_Occurred() == NULL)
        return result == 0 ? 0 : -1;
    fault_report("extents");
    return -1;
}
