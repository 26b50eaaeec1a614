// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns the state of the server's threads in OCaml. Every thread of the server
 * enters; it calls nothing of ours.
 *
 * Each thread is registered when it first comes, and unregistered when it
 * ends. Where the plugin is not linked with OCaml's threads library (which
 * OCaml 4 allows), a lock of our own keeps callbacks apart instead, and a
 * callback that waits keeps it.
 */
#include "runtime.h"

#include <assert.h>
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <caml/callback.h>
#include <caml/threads.h>
#include <caml/version.h>

#pragma weak caml_c_thread_register
#pragma weak caml_c_thread_unregister

/*
 * What OCaml 4 forgets is not our leak: a stack for signals that only the
 * kernel knows of, and 64 bytes for each thread that is unregistered.
 */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#define FORGIVE_LEAKS() __lsan_disable()
#define BLAME_LEAKS() __lsan_enable()
#else
#define FORGIVE_LEAKS() ((void)0)
#define BLAME_LEAKS() ((void)0)
#endif

struct here {
    bool is_known;  /* to OCaml */
    bool is_inside; /* and holds the runtime, but for where its OCaml code waits */
    bool is_forking;
};

static _Thread_local struct here here;
static pthread_key_t end_of_thread;
static pthread_mutex_t lock_without_threads = PTHREAD_MUTEX_INITIALIZER;

bool runtime_has_threads(void)
{
    return caml_c_thread_register != NULL;
}

/*
 * OCaml 4 makes Stack_overflow of a SIGSEGV; but on the stack that is full
 * no handler can run, and only threads that OCaml made get another one.
 */
static void *make_signal_stack(void)
{
    size_t size = (size_t)sysconf(_SC_SIGSTKSZ) + 16384;
    stack_t stack;

    if (OCAML_VERSION_MAJOR > 4 || sigaltstack(NULL, &stack) < 0 || !(stack.ss_flags & SS_DISABLE))
        return NULL;
    stack = (stack_t){ .ss_sp = malloc(size), .ss_size = size };
    if (stack.ss_sp && sigaltstack(&stack, NULL) < 0) {
        free(stack.ss_sp);
        return NULL;
    }
    return stack.ss_sp;
}

/* At the end of a thread, with what meet_thread() kept for it. */
static void forget_thread(void *signal_stack)
{
    stack_t none = { .ss_flags = SS_DISABLE };

    if (runtime_has_threads())
        caml_c_thread_unregister();
    here.is_known = false;
    if (signal_stack != &end_of_thread) {
        sigaltstack(&none, NULL);
        free(signal_stack);
    }
}

/*
 * Registers the thread. A thread without a signal stack of ours keeps
 * something else, so that its end is noticed, too. Returns false for a thread
 * that OCaml code has made: it cannot be registered, and holds the runtime.
 */
static bool meet_thread(void)
{
    if (here.is_known)
        return true;
    FORGIVE_LEAKS();
    bool is_new = !runtime_has_threads() || caml_c_thread_register();
    BLAME_LEAKS();
    if (!is_new)
        return false;
    void *signal_stack = make_signal_stack();
    pthread_setspecific(end_of_thread, signal_stack ? signal_stack : (void *)&end_of_thread);
    here.is_known = true;
    return true;
}

static void take_runtime(void)
{
    if (runtime_has_threads())
        caml_acquire_runtime_system();
    else
        pthread_mutex_lock(&lock_without_threads);
    here.is_inside = true;
}

void runtime_enter(void)
{
    assert(!here.is_inside);
    meet_thread();
    take_runtime();
}

void runtime_leave(void)
{
    here.is_inside = false;
    if (runtime_has_threads())
        caml_release_runtime_system();
    else
        pthread_mutex_unlock(&lock_without_threads);
}

/*
 * OCaml takes it that whoever forks holds the runtime: in the child it forgets
 * every other thread, and who holds the lock. The server goes to the
 * background after callbacks have run and before others do. OCaml code that
 * forks holds it already.
 */
static void before_fork(void)
{
    if (here.is_inside || !meet_thread())
        return;
    take_runtime();
    here.is_forking = true;
}

/* In the parent; and in the child, after OCaml's own handler, which was there first. */
static void after_fork(void)
{
    if (!here.is_forking)
        return;
    here.is_forking = false;
    runtime_leave();
}

/* OCaml cannot end: its threads and signal handlers stay, and so must the code that they run. */
static void keep_loaded(void)
{
    Dl_info ours;

    if (dladdr(&end_of_thread, &ours))
        dlopen(ours.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
}

value runtime_start(void)
{
    static char name[] = "nbdlab";
    static char *arguments[] = { name, NULL };

    keep_loaded();
    pthread_key_create(&end_of_thread, forget_thread);
    here.is_known = true;
    if (!runtime_has_threads())
        pthread_mutex_lock(&lock_without_threads);
    here.is_inside = true;
    FORGIVE_LEAKS();
    value result = caml_startup_exn(arguments);
    BLAME_LEAKS();
    pthread_atfork(before_fork, after_fork, after_fork);
    return result;
}
