// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns the signal dispositions. Entered by the main thread, and by whoever
 * makes threads; calls quit.
 */
#include "signals.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "quit.h"

static const int stop_signals[] = { SIGINT, SIGQUIT, SIGTERM, SIGHUP };
static bool is_hup_ignored;
static atomic_int caught;
static atomic_int caught_count;
static atomic_bool is_serving;

/* How many signals a start-up that hangs is given, before one kills. */
enum { PATIENCE = 2 };

static void ask_to_stop(int number)
{
    atomic_store(&caught, number);
    quit_request();
    if (atomic_fetch_add(&caught_count, 1) < PATIENCE || atomic_load(&is_serving))
        return;
    signal(number, SIG_DFL);
    raise(number);
}

void signals_ignore(void)
{
    for (size_t i = 0; i < sizeof stop_signals / sizeof stop_signals[0]; i++)
        signal(stop_signals[i], SIG_IGN);
}

int signals_take_caught(void)
{
    return atomic_exchange(&caught, 0);
}

static void fill_stop_signals(sigset_t *set)
{
    sigemptyset(set);
    for (size_t i = 0; i < sizeof stop_signals / sizeof stop_signals[0]; i++)
        sigaddset(set, stop_signals[i]);
}

static void handle_stop_signals(int flags)
{
    struct sigaction action = { .sa_handler = ask_to_stop, .sa_flags = flags };

    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof stop_signals / sizeof stop_signals[0]; i++)
        if (stop_signals[i] != SIGHUP || !is_hup_ignored)
            sigaction(stop_signals[i], &action, NULL);
}

void signals_install(void)
{
    struct sigaction hup;
    sigset_t stop;

    sigaction(SIGHUP, NULL, &hup);
    is_hup_ignored = hup.sa_handler == SIG_IGN;
    handle_stop_signals(0);
    signal(SIGPIPE, SIG_IGN);
    /* With SIGCHLD ignored, nobody could wait for a child. */
    signal(SIGCHLD, SIG_DFL);
    fill_stop_signals(&stop);
    pthread_sigmask(SIG_UNBLOCK, &stop, NULL);
}

void signals_keep(void)
{
    atomic_store(&is_serving, true);
    handle_stop_signals(SA_RESTART);
}

void signals_block(sigset_t *old)
{
    sigset_t stop;

    fill_stop_signals(&stop);
    pthread_sigmask(SIG_BLOCK, &stop, old);
}

void signals_restore(const sigset_t *old)
{
    pthread_sigmask(SIG_SETMASK, old, NULL);
}

void signals_get_changed(sigset_t *changed)
{
    sigemptyset(changed);
    for (size_t i = 0; i < sizeof stop_signals / sizeof stop_signals[0]; i++)
        if (stop_signals[i] != SIGHUP || !is_hup_ignored)
            sigaddset(changed, stop_signals[i]);
    sigaddset(changed, SIGPIPE);
}
