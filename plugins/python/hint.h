/* SPDX-License-Identifier: BSD-3-Clause */
/* What the author of a script may not know, when an exception shows it. */
#ifndef HINT_H
#define HINT_H

#include "interpreter.h"

/*
 * Does the exception, raised by `code` of the script, come from the script's function open where
 * Python's was meant? Returns what to say then, to be appended to a message; else "". With the
 * interpreter's lock held and no exception set.
 */
const char *hint_about_open(PyObject *exception, PyObject *code);

#endif
