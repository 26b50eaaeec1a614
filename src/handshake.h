/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fixed newstyle negotiation (proto.md, "Fixed newstyle negotiation" and
 * "Option types"): from the greeting to the choice of an export.
 */
#ifndef HANDSHAKE_H
#define HANDSHAKE_H

struct conn;

/*
 * Runs the handshake. Returns 1 when an export is open and the transmission
 * phase begins; 0 when the client left or ended it; -1 after a violation of
 * the protocol or an error, logged. Session's thread.
 */
int handshake_run(struct conn *conn);

#endif
