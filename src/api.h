/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The public nbdkit_* functions that concern the calling thread's connection,
 * and what they need to know. nbdlab-plugin(3) is their manual; the thread's
 * current connection is read here and nowhere else.
 */
#ifndef API_H
#define API_H

#include <stdbool.h>

struct conn;

/* The connection that the calling thread serves from now on; NULL for none. */
void api_set_conn(struct conn *conn);

/* The error that the calling thread's callback set with nbdkit_set_error(), 0 for none. */
void api_set_error(int error);
int api_get_error(void);

/* Is the client on stdin and stdout (-s)? Main thread, before plugins are loaded. */
void api_set_stdio_used(bool is_used);

/*
 * Keeps `string`, from malloc(3) or NULL, as long as the thread's connection,
 * or as the plugin where it has none. Returns it, or NULL after logging.
 */
const char *api_intern(char *string);

/* Frees the strings that belong to no connection. Main thread, last. */
void api_free_strings(void);

#endif
