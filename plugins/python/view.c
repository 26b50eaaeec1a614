/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Buffers of requests that are lent to the script. Owns the type of a loan, which counts who uses
 * the memory. Any thread with the lock; calls Python.
 */
#include "view.h"

struct loan {
    PyObject base;
    PyObject *view; /* a memoryview of it all, if the script has the loan itself; else NULL */
    void *memory;   /* NULL once it is taken back */
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

/* The memoryview that stands behind the loan, borrowed; NULL with an exception once it is over. */
static PyObject *get_view(PyObject *self)
{
    PyObject *view = ((struct loan *)self)->view;

    if (view == NULL)
        PyErr_SetString(PyExc_ValueError, "the request that this buffer belonged to is over");
    return view;
}

static Py_ssize_t get_length(PyObject *self)
{
    return get_view(self) == NULL ? -1 : ((struct loan *)self)->length;
}

static PyObject *get_item(PyObject *self, PyObject *key)
{
    PyObject *view = get_view(self);

    return view == NULL ? NULL : PyObject_GetItem(view, key);
}

static PyObject *get_item_at(PyObject *self, Py_ssize_t index)
{
    PyObject *view = get_view(self);

    return view == NULL ? NULL : PySequence_GetItem(view, index);
}

/* The exception that a memoryview raises does not say how many bytes there are, and should be. */
static void explain_sizes(PyObject *view, PyObject *key, PyObject *value)
{
    PyObject *type, *exception, *traceback;
    Py_buffer data;

    PyErr_Fetch(&type, &exception, &traceback);
    CLEANUP_REFERENCE PyObject *part = PyObject_GetItem(view, key);
    Py_ssize_t wanted = part == NULL ? -1 : PyObject_Size(part);
    if (wanted >= 0 && PyObject_GetBuffer(value, &data, PyBUF_SIMPLE) == 0) {
        if (data.len != wanted) {
            Py_CLEAR(exception);
            exception = PyUnicode_FromFormat("buf takes %zd bytes here and was given %zd", wanted,
                                             data.len);
        }
        PyBuffer_Release(&data);
    }
    PyErr_Clear();
    PyErr_Restore(type, exception, traceback);
}

static int set_item(PyObject *self, PyObject *key, PyObject *value)
{
    PyObject *view = get_view(self);

    if (view == NULL)
        return -1;
    int result = value == NULL ? PyObject_DelItem(view, key) : PyObject_SetItem(view, key, value);
    if (result == -1 && value != NULL && PySlice_Check(key) &&
        PyErr_ExceptionMatches(PyExc_ValueError))
        explain_sizes(view, key, value);
    return result;
}

static PyObject *get_attribute(PyObject *self, PyObject *name)
{
    PyObject *own = PyObject_GenericGetAttr(self, name);

    if (own != NULL || !PyErr_ExceptionMatches(PyExc_AttributeError))
        return own;
    PyErr_Clear();
    PyObject *view = get_view(self);
    return view == NULL ? NULL : PyObject_GetAttr(view, name);
}

static PyObject *compare(PyObject *self, PyObject *other, int operation)
{
    PyObject *view = get_view(self);

    return view == NULL ? NULL : PyObject_RichCompare(view, other, operation);
}

static PyObject *iterate(PyObject *self)
{
    PyObject *view = get_view(self);

    return view == NULL ? NULL : PyObject_GetIter(view);
}

/* What the statement "with" asks the type for, as it asks memoryview. */
static PyObject *enter(PyObject *self, PyObject *none)
{
    PyObject *view = get_view(self);

    (void)none;
    return view == NULL ? NULL : Py_NewRef(view);
}

static PyObject *leave(PyObject *self, PyObject *exception)
{
    PyObject *view = get_view(self);

    (void)exception;
    return view == NULL ? NULL : PyObject_CallMethod(view, "release", NULL);
}

static PyMethodDef methods[] = {
    { "__enter__", enter, METH_NOARGS, NULL },
    { "__exit__", leave, METH_VARARGS, NULL },
    { NULL, NULL, 0, NULL },
};

static PyMappingMethods mapping = {
    .mp_length = get_length,
    .mp_subscript = get_item,
    .mp_ass_subscript = set_item,
};

static PySequenceMethods sequence = {
    .sq_length = get_length,
    .sq_item = get_item_at,
};

static PyTypeObject loan_type = {
    .ob_base = { PyObject_HEAD_INIT(NULL) 0 },
    .tp_name = "nbdkit.buffer",
    .tp_doc = "the memory of a request",
    .tp_basicsize = sizeof(struct loan),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_as_buffer = &procedures,
    .tp_as_mapping = &mapping,
    .tp_as_sequence = &sequence,
    .tp_getattro = get_attribute,
    .tp_hash = PyObject_HashNotImplemented,
    .tp_iter = iterate,
    .tp_methods = methods,
    .tp_richcompare = compare,
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
    loan->view = NULL;
    *view = PyMemoryView_FromObject(&loan->base);
    if (*view == NULL) {
        Py_CLEAR(loan);
    } else if (!is_readonly) {
        loan->view = *view;
        *view = Py_NewRef(&loan->base);
    }
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

    Py_CLEAR(loan->view);
    if (loan->users > 0)
        release_views(loan);
    int result = loan->users > 0 ? -1 : 0;
    loan->memory = NULL;
    Py_DECREF(object);
    return result;
}
