/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The Python interpreter in the server's process: its start and end, and the
 * lock (GIL) that a thread needs for everything it does with Python.
 */
#ifndef INTERPRETER_H
#define INTERPRETER_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/*
 * Starts Python, with `path` as sys.argv[0] and its folder first in sys.path. The caller holds
 * the lock from then on. Main thread, once. Returns 0, or -1 after logging.
 */
int interpreter_start(const char *path);

/*
 * The server is about to take standard input and output away: gives back what was read ahead of a
 * file, and has what is printed from now on go to standard error.
 */
void interpreter_leave_stdio(void);

/*
 * Gives the lock back for good, after the script has been loaded. From then on
 * every use of Python is bracketed by interpreter_enter() and interpreter_leave().
 */
void interpreter_release(void);

/* Takes the lock, or gives it back; any thread, not nested. Keeps errno. */
void interpreter_enter(void);
void interpreter_leave(void);

/* The lock, from here to the end of the block. */
#define WITH_INTERPRETER                                                                           \
    __attribute__((cleanup(interpreter_leave_scope), unused)) int interpreter_scope = 0;           \
    interpreter_enter()

static inline void interpreter_leave_scope(const int *scope)
{
    (void)scope;
    interpreter_leave();
}

/*
 * Ends Python, if it was started: exit functions run, objects are freed, those that
 * `give_up` gives up first. Threads of the script that go on are not waited for. Main thread, last.
 */
void interpreter_stop(void (*give_up)(void));

/* A reference that is given back where its variable's scope ends. */
#define CLEANUP_REFERENCE __attribute__((cleanup(interpreter_drop_reference)))

static inline void interpreter_drop_reference(PyObject **object)
{
    Py_XDECREF(*object);
}

#endif
