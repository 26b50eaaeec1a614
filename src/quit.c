// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns the server's state. Entered by every thread and by signal handlers;
 * calls nothing of ours.
 */
#include "quit.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

static atomic_bool is_stopping;
static int stop_fd = -1;

int quit_init(void)
{
    stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return stop_fd < 0 ? -1 : 0;
}

void quit_request(void)
{
    int saved_errno = errno;
    uint64_t one = 1;

    atomic_store(&is_stopping, true);
    if (write(stop_fd, &one, sizeof one) < 0) {
        /* EAGAIN: the counter is full, so it is readable as it should be. */
    }
    errno = saved_errno;
}

bool quit_is_stopping(void)
{
    return atomic_load(&is_stopping);
}

int quit_get_fd(void)
{
    return stop_fd;
}
