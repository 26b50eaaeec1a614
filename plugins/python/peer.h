/* SPDX-License-Identifier: BSD-3-Clause */
/* The functions nbdkit.peer_*() of the module, in the form that PyMethodDef wants. */
#ifndef PEER_H
#define PEER_H

#include "interpreter.h"

PyObject *peer_name(PyObject *self, PyObject *unused);
PyObject *peer_pid(PyObject *self, PyObject *unused);
PyObject *peer_uid(PyObject *self, PyObject *unused);
PyObject *peer_gid(PyObject *self, PyObject *unused);
PyObject *peer_security_context(PyObject *self, PyObject *unused);
PyObject *peer_tls_dn(PyObject *self, PyObject *unused);
PyObject *peer_tls_issuer_dn(PyObject *self, PyObject *unused);

#endif
