/* SPDX-License-Identifier: BSD-3-Clause */
/* NBD_OPT_STARTTLS (proto.md, "TLS support"). Session's thread. */
#ifndef STARTTLS_H
#define STARTTLS_H

#include <stdbool.h>

#include "option.h"

struct conn;

/* NBD_OPT_STARTTLS. */
enum option_outcome starttls_do(struct conn *conn, const struct option *option);

/* Must the client ask for TLS before it can have this option? */
bool starttls_is_missing(struct conn *conn, const struct option *option);

/* The reply then, or the end where the option has none. */
enum option_outcome starttls_refuse(struct conn *conn, const struct option *option);

#endif
