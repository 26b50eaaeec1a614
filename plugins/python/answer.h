/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading what functions of the script return. Each function here gives up the
 * reference `answer`, which may be NULL after an exception that was reported,
 * and logs what is wrong with it. They are called with the interpreter's lock held.
 */
#ifndef ANSWER_H
#define ANSWER_H

#include <stdint.h>

#include "script.h"

/* True or false as Python has it: 1, 0, or -1. */
int answer_read_boolean(enum script_function function, PyObject *answer);

/* An integer from `minimum` to `maximum`, or -1 after logging it with the remedy. */
int64_t answer_read_integer(enum script_function function, PyObject *answer, int64_t minimum,
                            int64_t maximum, const char *remedy);

/* A text that lives as long as the connection or the plugin; NULL after logging. */
const char *answer_read_text(enum script_function function, PyObject *answer);

/* Three integers from 0 on out of something that can be iterated. Returns 0, or -1 without a
 * message if `answer`, whose reference is kept, is not that. */
int answer_read_triple(PyObject *answer, unsigned long long numbers[3]);

#endif
