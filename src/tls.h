/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TLS over a transport's descriptors (GnuTLS). Nothing here waits: where a
 * call would, it fails with EAGAIN, and it is the transport that polls. One
 * thread may receive while another sends; each of them takes the session's
 * lock for the time of one record.
 */
#ifndef TLS_H
#define TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

struct tls;
struct tls_credentials;

/*
 * Makes the server's end of a session over descriptors that stay the
 * caller's; pipes among them must be non-blocking. Returns NULL after logging.
 */
struct tls *tls_new(const struct tls_credentials *credentials, int in_fd, int out_fd);

/*
 * Goes on with the handshake. Returns 0 at its end; -1 with EAGAIN where the
 * client has to say something first, with another errno after logging. What
 * is there to be sent then is for tls_flush().
 */
int tls_shake_hands(struct tls *tls);

/* Returns as recv(2), 0 also where the client went without a word; -1 with errno. */
ssize_t tls_recv(struct tls *tls, void *buffer, size_t length);

/* Is there something that was read but that tls_recv() has not returned yet? The reader. */
bool tls_has_input(struct tls *tls);

/*
 * Encrypts some of the vectors. Returns how many bytes of them are done with:
 * sent, or kept until there is room; -1 with errno (EAGAIN: enough is kept).
 */
ssize_t tls_send(struct tls *tls, const struct iovec *vectors, int count);

/* Sends what is kept. Returns 0 when all of it is gone, -1 with errno. */
int tls_flush(struct tls *tls);

/* Has the handshake come to its end? */
bool tls_is_established(struct tls *tls);

/* Says that nothing more will be sent (close_notify); tls_flush() sends it. */
void tls_say_goodbye(struct tls *tls);

/*
 * The same at once, where the client takes it without waiting and no record is
 * half-way: from now on nothing else is sent.
 */
void tls_end_now(struct tls *tls);

/* The distinguished names of the client's checked certificate and of who issued it, or "". */
const char *tls_get_peer_dn(const struct tls *tls);
const char *tls_get_peer_issuer_dn(const struct tls *tls);

/* Nobody may be in a call on it. */
void tls_free(struct tls *tls);

#endif
