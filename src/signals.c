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

static void ask_to_stop(int number)
{
    atomic_store(&caught, number);
    quit_request();
}

int signals_get_caught(void)
{
    return atomic_load(&caught);
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

    sigaction(SIGHUP, NULL, &hup);
    is_hup_ignored = hup.sa_handler == SIG_IGN;
    handle_stop_signals((int)SA_RESETHAND);
    signal(SIGPIPE, SIG_IGN);
}

void signals_keep(void)
{
    handle_stop_signals(SA_RESTART);
}

void signals_block(sigset_t *old)
{
    sigset_t blocked;

    sigemptyset(&blocked);
    for (size_t i = 0; i < sizeof stop_signals / sizeof stop_signals[0]; i++)
        sigaddset(&blocked, stop_signals[i]);
    pthread_sigmask(SIG_BLOCK, &blocked, old);
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
