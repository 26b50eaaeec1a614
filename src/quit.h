/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The server's own state: RUNNING, then STOPPING, never back. Stopping is
 * asynchronous: callbacks in flight end, replies go out, connections close,
 * and then the process leaves.
 */
#ifndef QUIT_H
#define QUIT_H

#include <stdbool.h>

/* Prepares the state. Returns 0, or -1 with errno. Main thread, first. */
int quit_init(void);

/* Asks the server to stop. Any thread, and signal handlers; any number of times. */
void quit_request(void);

bool quit_is_stopping(void);

/*
 * A descriptor that polls readable once the server is stopping; nobody reads or
 * closes it. A fork shares it: a signal to a parent that waits for its child
 * to be ready stops the child.
 */
int quit_get_fd(void);

#endif
