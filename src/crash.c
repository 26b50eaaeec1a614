// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns the handlers of fatal signals. Entered by the main thread, by each thread of a session for
 * its stack, and by whichever thread breaks; all that happens there is safe in a handler. Calls
 * log.
 */
#include "crash.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

_Thread_local const char *volatile crash_callback;

static const int fatal_signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
enum { COUNT = sizeof fatal_signals / sizeof fatal_signals[0] };

static struct sigaction inherited[COUNT]; /* a sanitizer's, or none */
static struct sigaction plugins[COUNT];   /* a handler of the plugin's, where there is one */
static void (*clear)(void);
static pid_t server_pid;
static atomic_bool has_crashed;
static char main_stack[CRASH_STACK_BYTES];

static int find(int number)
{
    int i = 0;

    while (i < COUNT - 1 && fatal_signals[i] != number)
        i++;
    return i;
}

/* "the plugin crashed in pread: SIGSEGV" */
static void report(int number, const siginfo_t *info)
{
    const char *callback = crash_callback;
    const char *name = sigabbrev_np(number);
    const char *parts[] = {
        callback ? "the plugin crashed in "
                 : "the server crashed outside of the plugin's callbacks",
        callback ? callback : "",
        ": SIG",
        name ? name : "?",
        info->si_code == SI_USER ? ", which a process sent" : "",
        NULL,
    };

    log_fatal(parts);
}

void crash_let_finish(void)
{
    while (atomic_load(&has_crashed))
        pause();
}

/* Once, in the process that serves: a fork of a plugin's may crash, too. */
static void end_server(int number, const siginfo_t *info)
{
    if (getpid() != server_pid)
        return;
    if (atomic_exchange(&has_crashed, true))
        crash_let_finish();
    report(number, info);
    clear();
}

/* Lets `next` have the signal: a fault is repeated when the handler returns. */
static void pass_on(int number, const siginfo_t *info, const struct sigaction *next)
{
    if (next)
        sigaction(number, next, NULL);
    if (info->si_code > 0) /* raised by an instruction, not sent */
        return;
    /* No signal that is sent ends process 1, such as a container's; it would serve on. */
    if (getpid() == 1)
        _exit(128 + number);
    raise(number);
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    int saved_errno = errno;

    (void)context;
    end_server(number, info);
    pass_on(number, info, &inherited[find(number)]);
    errno = saved_errno;
}

/*
 * The plugin's language may make an exception of the fault, as OCaml does of a stack overflow;
 * where it cannot, it has put another handler in place, to be met when the fault is repeated.
 */
static void on_fault_in_language(int number, siginfo_t *info, void *context)
{
    int saved_errno = errno;
    struct sigaction now;

    plugins[find(number)].sa_sigaction(number, info, context);
    sigaction(number, NULL, &now);
    if (now.sa_sigaction != on_fault_in_language) {
        end_server(number, info);
        pass_on(number, info, now.sa_sigaction == on_fault ? &inherited[find(number)] : NULL);
    }
    errno = saved_errno;
}

void crash_use_stack(void *stack)
{
    stack_t old;
    stack_t new = { .ss_sp = stack, .ss_size = CRASH_STACK_BYTES };

    /* A sanitizer has given the thread one. */
    if (sigaltstack(NULL, &old) == 0 && (old.ss_flags & SS_DISABLE))
        sigaltstack(&new, NULL);
}

void crash_forget_stack(void *stack)
{
    stack_t old;
    stack_t none = { .ss_flags = SS_DISABLE };

    if (sigaltstack(NULL, &old) == 0 && old.ss_sp == stack)
        sigaltstack(&none, NULL);
}

void crash_handle(void (*clear_away)(void))
{
    struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };

    clear = clear_away;
    server_pid = getpid();
    sigemptyset(&action.sa_mask);
    crash_use_stack(main_stack);
    for (int i = 0; i < COUNT; i++)
        sigaction(fatal_signals[i], &action, &inherited[i]);
}

void crash_handle_again(void)
{
    server_pid = getpid();
    for (int i = 0; i < COUNT; i++) {
        struct sigaction action;
        sigaction(fatal_signals[i], NULL, &action);
        bool is_plugins = action.sa_sigaction != on_fault &&
                          action.sa_sigaction != on_fault_in_language &&
                          (action.sa_flags & SA_SIGINFO);
        if (!is_plugins)
            continue;
        plugins[i] = action;
        action.sa_sigaction = on_fault_in_language;
        sigaction(fatal_signals[i], &action, NULL);
    }
}
