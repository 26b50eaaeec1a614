/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The module nbdkit: what scripts ask of the server, and its constants.
 * nbdlab-python-plugin(3) describes each. Any thread with the lock, which is given back around
 * whatever may wait or may wake other threads. Calls fault, peer and the plugin API.
 */
#include "module.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "fault.h"
#include "interpreter.h"
#include "peer.h"

/* The server has logged what was wrong with a value. */
static PyObject *fail_to_parse(const char *what)
{
    return PyErr_Format(PyExc_ValueError, "this is not a valid %s", what);
}

static PyObject *absolute_path(PyObject *self, PyObject *value)
{
    CLEANUP_REFERENCE PyObject *path = NULL;

    (void)self;
    if (!PyUnicode_FSConverter(value, &path))
        return NULL;
    char *absolute = nbdkit_absolute_path(PyBytes_AS_STRING(path));
    if (absolute == NULL)
        return fail_to_parse("path");
    PyObject *result = PyUnicode_DecodeFSDefault(absolute);
    free(absolute);
    return result;
}

static PyObject *real_path(PyObject *self, PyObject *value)
{
    CLEANUP_REFERENCE PyObject *path = NULL;

    (void)self;
    if (!PyUnicode_FSConverter(value, &path))
        return NULL;
    char *real = nbdkit_realpath(PyBytes_AS_STRING(path));
    if (real == NULL)
        return fail_to_parse("path");
    PyObject *result = PyUnicode_DecodeFSDefault(real);
    free(real);
    return result;
}

static PyObject *debug(PyObject *self, PyObject *value)
{
    CLEANUP_REFERENCE PyObject *text = PyObject_Str(value);
    CLEANUP_REFERENCE PyObject *encoded =
        text == NULL ? NULL : PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace");

    (void)self;
    if (encoded == NULL)
        return NULL;
    nbdkit_debug("%s", PyBytes_AS_STRING(encoded));
    Py_RETURN_NONE;
}

static PyObject *disconnect(PyObject *self, PyObject *value)
{
    int force = PyObject_IsTrue(value);

    (void)self;
    if (force == -1)
        return NULL;
    Py_BEGIN_ALLOW_THREADS nbdkit_disconnect(force);
    Py_END_ALLOW_THREADS Py_RETURN_NONE;
}

static PyObject *export_name(PyObject *self, PyObject *unused)
{
    const char *name = nbdkit_export_name();

    (void)self;
    (void)unused;
    if (name == NULL)
        return PyErr_Format(PyExc_RuntimeError, "there is no export name outside of a connection");
    return PyUnicode_DecodeUTF8(name, (Py_ssize_t)strlen(name), "surrogateescape");
}

static PyObject *is_tls(PyObject *self, PyObject *unused)
{
    int answer = nbdkit_is_tls();

    (void)self;
    (void)unused;
    if (answer == -1)
        return PyErr_Format(PyExc_RuntimeError, "is_tls() is known in a connection only");
    return PyBool_FromLong(answer);
}

static PyObject *nano_sleep(PyObject *self, PyObject *arguments)
{
    long long seconds, nanoseconds;
    int result;

    (void)self;
    if (!PyArg_ParseTuple(arguments, "LL:nanosleep", &seconds, &nanoseconds))
        return NULL;
    if (seconds < 0 || seconds > INT_MAX || nanoseconds < 0 || nanoseconds > UINT_MAX)
        return PyErr_Format(PyExc_OverflowError, "from 0 to 2**31 - 1 seconds can be slept");
    Py_BEGIN_ALLOW_THREADS result = nbdkit_nanosleep((unsigned)seconds, (unsigned)nanoseconds);
    Py_END_ALLOW_THREADS if (result == -1) return PyErr_Format(PyExc_RuntimeError,
                                                               "the sleep was interrupted");
    Py_RETURN_NONE;
}

static PyObject *parse_bool(PyObject *self, PyObject *value)
{
    const char *text = PyUnicode_AsUTF8(value);
    int answer = text == NULL ? -1 : nbdkit_parse_bool(text);

    (void)self;
    if (text == NULL)
        return NULL;
    return answer == -1 ? fail_to_parse("boolean") : PyBool_FromLong(answer);
}

static PyObject *parse_delay(PyObject *self, PyObject *arguments)
{
    const char *what, *text;
    unsigned seconds, nanoseconds;

    (void)self;
    if (!PyArg_ParseTuple(arguments, "ss:parse_delay", &what, &text))
        return NULL;
    if (nbdkit_parse_delay(what, text, &seconds, &nanoseconds) == -1)
        return fail_to_parse("delay");
    return Py_BuildValue("II", seconds, nanoseconds);
}

static PyObject *parse_probability(PyObject *self, PyObject *arguments)
{
    const char *what, *text;
    double probability;

    (void)self;
    if (!PyArg_ParseTuple(arguments, "ss:parse_probability", &what, &text))
        return NULL;
    if (nbdkit_parse_probability(what, text, &probability) == -1)
        return fail_to_parse("probability");
    return PyFloat_FromDouble(probability);
}

static PyObject *parse_size(PyObject *self, PyObject *value)
{
    const char *text = PyUnicode_AsUTF8(value);
    int64_t size = text == NULL ? -1 : nbdkit_parse_size(text);

    (void)self;
    if (text == NULL)
        return NULL;
    return size == -1 ? fail_to_parse("size") : PyLong_FromLongLong(size);
}

static PyObject *read_password(PyObject *self, PyObject *value)
{
    const char *text = PyUnicode_AsUTF8(value);
    char *password = NULL;
    int result;

    (void)self;
    if (text == NULL)
        return NULL;
    Py_BEGIN_ALLOW_THREADS result = nbdkit_read_password(text, &password);
    Py_END_ALLOW_THREADS if (result == -1) return fail_to_parse("password");
    PyObject *bytes = PyBytes_FromString(password);
    explicit_bzero(password, strlen(password));
    free(password);
    return bytes;
}

static PyObject *set_error(PyObject *self, PyObject *value)
{
    int error = _PyLong_AsInt(value);

    (void)self;
    if (error == -1 && PyErr_Occurred() != NULL)
        return NULL;
    fault_set_error(error);
    Py_RETURN_NONE;
}

static PyObject *shut_down(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    Py_BEGIN_ALLOW_THREADS nbdkit_shutdown();
    Py_END_ALLOW_THREADS Py_RETURN_NONE;
}

static PyObject *stdio_safe(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    return PyBool_FromLong(nbdkit_stdio_safe());
}

static PyMethodDef functions[] = {
    { "absolute_path", absolute_path, METH_O, "absolute_path(path): the path from / on" },
    { "debug", debug, METH_O, "debug(message): a line in the log, with -v" },
    { "disconnect", disconnect, METH_O, "disconnect(force): end this client's connection" },
    { "export_name", export_name, METH_NOARGS, "export_name(): what the client asked for" },
    { "is_tls", is_tls, METH_NOARGS, "is_tls(): is the client's connection encrypted?" },
    { "nanosleep", nano_sleep, METH_VARARGS,
      "nanosleep(seconds, nanoseconds): wait, but not longer than the connection or server lives" },
    { "parse_bool", parse_bool, METH_O, "parse_bool(text): True or False" },
    { "parse_delay", parse_delay, METH_VARARGS,
      "parse_delay(what, text): (seconds, nanoseconds) of '10ms' and the like" },
    { "parse_probability", parse_probability, METH_VARARGS,
      "parse_probability(what, text): a number from 0 on, of '1%', '1:100' and the like" },
    { "parse_size", parse_size, METH_O, "parse_size(text): bytes, of '10M' and the like" },
    { "peer_gid", peer_gid, METH_NOARGS, "peer_gid(): the client's group, on a Unix socket" },
    { "peer_name", peer_name, METH_NOARGS,
      "peer_name(): the client's address, as socket.getpeername() has it" },
    { "peer_pid", peer_pid, METH_NOARGS, "peer_pid(): the client's process, on a Unix socket" },
    { "peer_security_context", peer_security_context, METH_NOARGS,
      "peer_security_context(): the client's label of SELinux" },
    { "peer_tls_dn", peer_tls_dn, METH_NOARGS,
      "peer_tls_dn(): the name in the client's certificate" },
    { "peer_tls_issuer_dn", peer_tls_issuer_dn, METH_NOARGS,
      "peer_tls_issuer_dn(): the name of who issued the client's certificate" },
    { "peer_uid", peer_uid, METH_NOARGS, "peer_uid(): the client's user, on a Unix socket" },
    { "read_password", read_password, METH_O, "read_password(value): bytes; - asks for it" },
    { "realpath", real_path, METH_O, "realpath(path): the path from / on without symbolic links" },
    { "set_error", set_error, METH_O, "set_error(errno): for the exception that is raised next" },
    { "shutdown", shut_down, METH_NOARGS, "shutdown(): end the server" },
    { "stdio_safe", stdio_safe, METH_NOARGS, "stdio_safe(): may stdin and stdout be used?" },
    { NULL, NULL, 0, NULL },
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "nbdkit",
    .m_doc = "The server's functions and constants; nbdlab-python-plugin(3) is their manual.",
    .m_size = -1,
    .m_methods = functions,
};

static const struct {
    const char *name;
    long value;
} constants[] = {
    { "THREAD_MODEL_SERIALIZE_CONNECTIONS", NBDKIT_THREAD_MODEL_SERIALIZE_CONNECTIONS },
    { "THREAD_MODEL_SERIALIZE_ALL_REQUESTS", NBDKIT_THREAD_MODEL_SERIALIZE_ALL_REQUESTS },
    { "THREAD_MODEL_SERIALIZE_REQUESTS", NBDKIT_THREAD_MODEL_SERIALIZE_REQUESTS },
    { "THREAD_MODEL_PARALLEL", NBDKIT_THREAD_MODEL_PARALLEL },
    { "FLAG_MAY_TRIM", NBDKIT_FLAG_MAY_TRIM },
    { "FLAG_FUA", NBDKIT_FLAG_FUA },
    { "FLAG_REQ_ONE", NBDKIT_FLAG_REQ_ONE },
    { "FLAG_FAST_ZERO", NBDKIT_FLAG_FAST_ZERO },
    { "FUA_NONE", NBDKIT_FUA_NONE },
    { "FUA_EMULATE", NBDKIT_FUA_EMULATE },
    { "FUA_NATIVE", NBDKIT_FUA_NATIVE },
    { "CACHE_NONE", NBDKIT_CACHE_NONE },
    { "CACHE_EMULATE", NBDKIT_CACHE_EMULATE },
    { "CACHE_NATIVE", NBDKIT_CACHE_NATIVE },
    { "EXTENT_HOLE", NBDKIT_EXTENT_HOLE },
    { "EXTENT_ZERO", NBDKIT_EXTENT_ZERO },
};

static PyObject *create(void)
{
    PyObject *module = PyModule_Create(&definition);

    for (size_t i = 0; module != NULL && i < sizeof constants / sizeof constants[0]; i++) {
        if (PyModule_AddIntConstant(module, constants[i].name, constants[i].value) == -1)
            Py_CLEAR(module);
    }
    return module;
}

int module_offer(void)
{
    return PyImport_AppendInittab("nbdkit", create);
}
