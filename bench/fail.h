/* SPDX-License-Identifier: BSD-3-Clause */
/* The one way in which the programs of the benchmark end early. Any thread. */
#ifndef FAIL_H
#define FAIL_H

#include <stddef.h>

/* Prints "PROGRAM: error: ..." and ends the process with status 1. */
void fail(const char *format, ...) __attribute__((__format__(printf, 1, 2), __noreturn__));

/* The same, with what errno says at the end. */
void fail_errno(const char *format, ...) __attribute__((__format__(printf, 1, 2), __noreturn__));

/* Returns memory that is zero, or ends the process. The caller frees it. */
void *fail_calloc(size_t count, size_t bytes) __attribute__((__malloc__));

#endif
