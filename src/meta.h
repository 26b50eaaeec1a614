/* SPDX-License-Identifier: BSD-3-Clause */
/* Metadata contexts (proto.md, "Metadata querying"); there is one, base:allocation. */
#ifndef META_H
#define META_H

#include "option.h"

struct conn;

/* Answers NBD_OPT_LIST_META_CONTEXT and NBD_OPT_SET_META_CONTEXT. Session's thread. */
enum option_outcome meta_select(struct conn *conn, const struct option *option);

/* From now on the client has selected none. Session's thread. */
void meta_forget(struct conn *conn);

#endif
