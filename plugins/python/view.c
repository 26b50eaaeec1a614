/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Buffers of requests that are lent to the script. Owns the type of a loan, which counts who uses
 * the memory. Any thread with the lock; calls Python.
 */
#include "view.h"

struct loan {
    PyObject base;
    void *memory; /* NULL once it is taken back */
    Py_ssize_t length;
    Py_ssize_t users;
    bool is_readonly;
};

static int get_buffer(PyObject *self, Py_buffer *buffer, int flags)
{
    struct loan *loan = (struct loan *)self;

    if (loan->memory == NULL) {
        buffer->obj = NULL;
        PyErr_SetString(PyExc_BufferError, "the request that this buffer belonged to is over");
        return -1;
    }
    int result =
        PyBuffer_FillInfo(buffer, self, loan->memory, loan->length, loan->is_readonly, flags);
    if (result == 0)
        loan->users++;
    return result;
}

static void release_buffer(PyObject *self, Py_buffer *buffer)
{
    (void)buffer;
    ((struct loan *)self)->users--;
}

static PyBufferProcs procedures = {
    .bf_getbuffer = get_buffer,
    .bf_releasebuffer = release_buffer,
};

static PyTypeObject loan_type = {
    .ob_base = { PyObject_HEAD_INIT(NULL) 0 },
    .tp_name = "nbdkit.buffer",
    .tp_doc = "the memory of a request",
    .tp_basicsize = sizeof(struct loan),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_as_buffer = &procedures,
};

int view_prepare(void)
{
    return PyType_Ready(&loan_type);
}

PyObject *view_lend(void *memory, size_t length, bool is_readonly, PyObject **view)
{
    struct loan *loan = PyObject_New(struct loan, &loan_type);

    if (loan == NULL)
        return NULL;
    loan->memory = memory;
    loan->length = (Py_ssize_t)length;
    loan->users = 0;
    loan->is_readonly = is_readonly;
    *view = PyMemoryView_FromObject(&loan->base);
    if (*view == NULL)
        Py_CLEAR(loan);
    return (PyObject *)loan;
}

/* Releases each memoryview of the loan that the script has kept. */
static void release_views(const struct loan *loan)
{
    CLEANUP_REFERENCE PyObject *collector = PyImport_ImportModule("gc");
    CLEANUP_REFERENCE PyObject *count =
        collector == NULL ? NULL : PyObject_CallMethod(collector, "collect", NULL);
    CLEANUP_REFERENCE PyObject *objects =
        count == NULL ? NULL : PyObject_CallMethod(collector, "get_objects", NULL);

    for (Py_ssize_t i = 0; objects != NULL && i < PyList_GET_SIZE(objects); i++) {
        PyObject *object = PyList_GET_ITEM(objects, i);
        if (PyMemoryView_Check(object) && PyMemoryView_GET_BASE(object) == &loan->base)
            Py_XDECREF(PyObject_CallMethod(object, "release", NULL));
        PyErr_Clear();
    }
    PyErr_Clear();
}

int view_take_back(PyObject *object)
{
    struct loan *loan = (struct loan *)object;

    if (loan->users > 0)
        release_views(loan);
    int result = loan->users > 0 ? -1 : 0;
    loan->memory = NULL;
    Py_DECREF(object);
    return result;
}
