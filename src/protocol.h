/* SPDX-License-Identifier: BSD-3-Clause */
/* The transmission phase (proto.md, "Transmission phase"): a request is done and replied to. */
#ifndef PROTOCOL_H
#define PROTOCOL_H

struct conn;
struct request;

/* Does what was asked, replies, and releases the request. Any thread of the session. */
void protocol_answer(struct conn *conn, struct request *request);

#endif
