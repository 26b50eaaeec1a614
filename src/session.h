/* SPDX-License-Identifier: BSD-3-Clause */
/* One client's life from top to bottom. */
#ifndef SESSION_H
#define SESSION_H

struct conn;

/*
 * Serves the client of `conn`: preconnect, handshake, requests, close. With
 * the parallel thread model up to `-t` requests are in the plugin at
 * once. Returns when the client is gone or was sent away, its export is
 * closed and its workers are joined; the caller frees conn. The calling thread
 * is the session's thread; it must have the stop signals blocked.
 */
void session_run(struct conn *conn);

#endif
