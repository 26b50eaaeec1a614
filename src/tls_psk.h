/* SPDX-License-Identifier: BSD-3-Clause */
/* The users of --tls-psk and their keys: lines of USER:KEY as psktool(1) writes them. Pure. */
#ifndef TLS_PSK_H
#define TLS_PSK_H

#include <stddef.h>

/* Constant once it was read; any thread looks users up. */
struct tls_psk;

enum { TLS_PSK_FAULT_MAX = 128 };

/*
 * Reads `length` bytes of text. Empty lines and comments are skipped; a user
 * written as #HEX is one that a colon would cut short. Returns NULL, and says
 * in `fault` what is wrong and in which line, but nothing of what stands there.
 */
struct tls_psk *tls_psk_parse(const char *text, size_t length,
                              char fault[static TLS_PSK_FAULT_MAX]);

void tls_psk_free(struct tls_psk *psk);

/* The user's key, of *length bytes, or NULL if there is no such user. The first of a name counts.
 */
const unsigned char *tls_psk_find(const struct tls_psk *psk, const char *user, size_t *length);

#endif
