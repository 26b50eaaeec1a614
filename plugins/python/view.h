/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The buffer of a request as the script sees it: a memoryview of the server's
 * memory, without a copy, that is taken back when the request is over. What the script shall fill
 * is an object that does what a memoryview does, and says both sizes when they do not fit. All
 * functions are called with the interpreter's lock held.
 */
#ifndef VIEW_H
#define VIEW_H

#include <stdbool.h>

#include "interpreter.h"

/* Makes the type ready. Returns 0, or -1 with an exception. */
int view_prepare(void);

/* Lends `length` bytes; a new reference to a view of them is in *view. Returns the loan, or NULL
 * with an exception. The memory must stay until view_take_back(). */
PyObject *view_lend(void *memory, size_t length, bool is_readonly, PyObject **view);

/*
 * Ends the loan and gives up its reference; the caller has given up its own to the view. Whatever
 * views the script has kept, slices too, are released: using one is a ValueError from then on.
 * Returns 0, or -1 if something else still uses the memory, such as an array of numpy's.
 */
int view_take_back(PyObject *loan);

#endif
