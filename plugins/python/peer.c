/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The functions nbdkit.peer_*(): who the client of the thread's connection is. Any thread with the
 * lock; calls Python and the plugin API, which logs why there is no answer.
 */
#include "peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

static PyObject *make_number(const char *what, int64_t number)
{
    if (number == -1)
        return PyErr_Format(PyExc_RuntimeError, "the client's %s is not known", what);
    return PyLong_FromLongLong(number);
}

PyObject *peer_pid(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    return make_number("process", nbdkit_peer_pid());
}

PyObject *peer_uid(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    return make_number("user", nbdkit_peer_uid());
}

PyObject *peer_gid(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    return make_number("group", nbdkit_peer_gid());
}

/* The text, which is freed, as a string. */
static PyObject *make_text(const char *what, char *text)
{
    if (text == NULL)
        return PyErr_Format(PyExc_RuntimeError, "the client's %s is not known", what);
    PyObject *string = PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "surrogateescape");
    free(text);
    return string;
}

PyObject *peer_security_context(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    return make_text("security context", nbdkit_peer_security_context());
}

PyObject *peer_tls_dn(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    return make_text("distinguished name", nbdkit_peer_tls_dn());
}

PyObject *peer_tls_issuer_dn(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    return make_text("issuer's distinguished name", nbdkit_peer_tls_issuer_dn());
}

/* As socket.getpeername() has it: a path, (address, port), or (address, port, flow, scope). */
static PyObject *make_address(const struct sockaddr_storage *address, socklen_t length)
{
    const struct sockaddr_un *local = (const void *)address;
    const struct sockaddr_in *four = (const void *)address;
    const struct sockaddr_in6 *six = (const void *)address;
    char text[INET6_ADDRSTRLEN] = "";

    switch (address->ss_family) {
    case AF_UNIX:
        if (length <= offsetof(struct sockaddr_un, sun_path))
            return PyUnicode_FromString("");
        return PyUnicode_DecodeFSDefaultAndSize(
            local->sun_path, (Py_ssize_t)strnlen(local->sun_path, sizeof local->sun_path));
    case AF_INET:
        inet_ntop(AF_INET, &four->sin_addr, text, sizeof text);
        return Py_BuildValue("si", text, ntohs(four->sin_port));
    case AF_INET6:
        inet_ntop(AF_INET6, &six->sin6_addr, text, sizeof text);
        return Py_BuildValue("siII", text, ntohs(six->sin6_port), ntohl(six->sin6_flowinfo),
                             six->sin6_scope_id);
    default:
        return PyErr_Format(PyExc_RuntimeError, "the client's address is of the family %d",
                            address->ss_family);
    }
}

PyObject *peer_name(PyObject *self, PyObject *unused)
{
    struct sockaddr_storage address = { 0 };
    socklen_t length = sizeof address;

    (void)self;
    (void)unused;
    if (nbdkit_peer_name((struct sockaddr *)&address, &length) == -1)
        return PyErr_Format(PyExc_RuntimeError, "the client's address is not known");
    return make_address(&address, length);
}
