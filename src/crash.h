/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The server's end by a signal that says that its code, most likely the
 * plugin's, is broken: SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT. One message
 * says where; the command of --run is ended, and what is in the file system is
 * removed; then the signal does what it would have done.
 */
#ifndef CRASH_H
#define CRASH_H

#include <stddef.h>

enum { CRASH_STACK_BYTES = 16 * 1024 };

/* The callback that the calling thread is in, for the message: a string that stays, or NULL. */
extern _Thread_local const char *volatile crash_callback;

#define CRASH_NOTE(callback_name) (crash_callback = (callback_name))

/*
 * Handles the signals from now on. `clear_away` must be safe in a handler of
 * signals. Main thread, before the plugin is loaded.
 */
void crash_handle(void (*clear_away)(void));

/*
 * Where another thread has crashed, does not return: the end of the command must not become an
 * orderly one of the server. The thread that
 * watches the clients.
 */
void crash_let_finish(void);

/*
 * In the process that will serve, as often as the plugin may have put handlers of its own in place:
 * from now on those are asked first.
 */
void crash_handle_again(void);

/*
 * Lets a thread overflow its stack and be reported all the same: for the time being, handlers have
 * `stack` of CRASH_STACK_BYTES in the thread's first function. crash_forget_stack() before it goes.
 */
void crash_use_stack(void *stack);
void crash_forget_stack(void *stack);

#endif
