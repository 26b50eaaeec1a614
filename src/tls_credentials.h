/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the server shows to its clients and what it checks of theirs: X.509
 * certificates, or pre-shared keys; nbdlab-tls(1). Loaded at start-up, before
 * privileges are dropped; constant from then on.
 */
#ifndef TLS_CREDENTIALS_H
#define TLS_CREDENTIALS_H

#include <stdbool.h>

struct gnutls_session_int; /* behind gnutls_session_t */
struct policy;
struct tls_credentials;

/* From the command line; NULL where an option was not given. */
struct tls_sources {
    const char *certificates; /* --tls-certificates: a folder */
    const char *psk;          /* --tls-psk: a file */
    const char *priority;     /* --tls-priority */
    bool verifies_peer;       /* --tls-verify-peer */
};

/* Was the program built with TLS? */
bool tls_credentials_is_built(void);

/*
 * Loads what `sources` name, or what is in the default folders, and settles
 * policy->tls, which is TLS_DEFAULT no more, and policy->tls_credentials, which is
 * NULL if TLS is off. Returns 0, or -1 after logging. Main thread.
 */
int tls_credentials_settle(struct policy *policy, const struct tls_sources *sources);

void tls_credentials_free(struct tls_credentials *credentials);

/* A handshake: who tried. `credentials` is set by the caller, the rest by the callback for keys. */
struct tls_attempt {
    const struct tls_credentials *credentials;
    bool has_user; /* of a pre-shared key */
    bool is_user_known;
    char user[128]; /* cut where it is longer */
};

/*
 * Makes a new session of GnuTLS use the attempt's credentials; `attempt` must
 * live as long. Returns 0 or an error of GnuTLS.
 */
int tls_credentials_use(struct tls_attempt *attempt, struct gnutls_session_int *session);

/* Are clients' certificates checked? */
bool tls_credentials_verify_peers(const struct tls_credentials *credentials);

#endif
