/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a Python exception to a message in the log and an errno for the client.
 * All functions are called with the interpreter's lock held.
 */
#ifndef FAULT_H
#define FAULT_H

/* The script's file, as messages and code objects name it; must stay valid. Before anything else.
 */
void fault_set_script(const char *name);

/* Before a function of the script is called: no error has been set for it yet. */
void fault_begin(void);

/* nbdkit.set_error(): the errno of the exception that the script is about to raise. */
void fault_set_error(int error);

/*
 * Logs the current exception, with the line of the script it comes from, and
 * clears it; the traceback goes to the debug log. `function` is the callback's name, NULL for the
 * script as a whole. The client gets what nbdkit.set_error() said, else the errno of an OSError,
 * else ENOMEM for a MemoryError, else EIO.
 */
void fault_report(const char *function);

/* The same, with `type_hint` after the text of a TypeError; "" for none. */
void fault_report_call(const char *function, const char *type_hint);

/* Logs that the function answered with what it may not: "FUNCTION: returned ANSWER: REMEDY". */
void fault_reject(const char *function, void *answer, const char *remedy);

#endif
