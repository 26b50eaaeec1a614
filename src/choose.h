/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a client learns of the exports and chooses one: by an option of newstyle
 * negotiation (proto.md, "Option types"), each a function that answers it, or by
 * connecting, with oldstyle negotiation. Session's thread.
 */
#ifndef CHOOSE_H
#define CHOOSE_H

#include "option.h"

struct conn;

enum option_outcome choose_list(struct conn *conn, const struct option *option);

/* NBD_OPT_EXPORT_NAME, which has no error reply: it fails instead. */
enum option_outcome choose_by_name(struct conn *conn, const struct option *option);

/* NBD_OPT_INFO and NBD_OPT_GO. */
enum option_outcome choose_by_info(struct conn *conn, const struct option *option);

/* Opens the default export and tells the client. Returns OPTION_CHOSEN or OPTION_FAILED. */
enum option_outcome choose_oldstyle(struct conn *conn);

#endif
