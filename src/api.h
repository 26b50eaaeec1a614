/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the public nbdkit_* functions need to know; the functions themselves are
 * in api.c and the files api_*.c. nbdlab-plugin(3) is their manual; the
 * thread's current connection is read there and nowhere else.
 */
#ifndef API_H
#define API_H

#include <stdbool.h>

struct conn;

/* The connection that the calling thread serves from now on; NULL for none. */
void api_set_conn(struct conn *conn);
struct conn *api_get_conn(void);

/* The error that the calling thread's callback set with nbdkit_set_error(), 0 for none. */
void api_set_error(int error);
int api_get_error(void);

/* What --name says, which must stay valid, or NULL. Main thread, at start-up. */
void api_set_name(const char *name);

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
