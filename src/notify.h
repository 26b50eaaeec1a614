/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tells the service manager how far the server is, where it asked for that with
 * NOTIFY_SOCKET (sd_notify(3)); elsewhere these do nothing. Main thread.
 */
#ifndef NOTIFY_H
#define NOTIFY_H

/*
 * Takes NOTIFY_SOCKET out of the environment: scripts and commands have no word
 * in this.
 */
void notify_init(void);

/* Clients can connect, and this process serves them. */
void notify_ready(void);

/* The server has begun to stop. */
void notify_stopping(void);

#endif
