/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Calls of the script whose answer is an exit status or a text. An error has
 * been logged when they return, and nbdkit_set_error called. Any thread; no locks.
 */
#ifndef ASK_H
#define ASK_H

#include "buf.h"
#include "call.h"

/* Bytes that a method may print: an ordinary one, and one that prints a list. */
#define ASK_TEXT_MAX 65536
#define ASK_LIST_MAX (64 * 1024 * 1024)

/* The result of a method whose output does not matter. */
enum status_result ask_status(const char *method, const char *const *arguments);

/* Makes a call that must succeed and whose output does not matter. Returns 0, or -1. */
int ask_required(struct call call);

/* Runs a method that the script need not have. Returns 0, or -1. */
int ask_optional(const char *method, const char *const *arguments);

/* Puts a question. Returns 1 for yes, 0 for no, if_missing if there is no such method, or -1. */
int ask_boolean(const char *method, const char *const *arguments, int if_missing);

/*
 * Makes a call that prints text into its output, a growing buffer. It is an
 * error if there is a NUL in it, or more than the buffer's limit.
 */
enum status_result ask_text(const struct call *call);

#endif
