// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns the server's certificates or pre-shared keys. The main thread enters
 * at start-up, sessions' threads to use them; calls tls_certificates, tls_psk,
 * debug_flags and log.
 */
#include "tls_credentials.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "debug_flags.h"
#include "log.h"
#include "policy.h"
#include "tls_certificates.h"
#include "tls_file.h"
#include "tls_psk.h"

/* proto.md, "TLS versions": older ones than 1.2 only where somebody asks for them. */
#define DEFAULT_PRIORITY "NORMAL:-VERS-TLS1.1:-VERS-TLS1.0"
#define PSK_PRIORITY ":+ECDHE-PSK:+DHE-PSK:+PSK"

struct tls_credentials {
    gnutls_certificate_credentials_t certificates; /* NULL with pre-shared keys */
    gnutls_psk_server_credentials_t psk;           /* NULL with certificates */
    struct tls_psk *keys;
    gnutls_priority_t priority;
    bool verifies_peer;
};

bool tls_credentials_is_built(void)
{
    return true;
}

/* GnuTLS's callback: the key of a user, which GnuTLS frees. */
static int find_key(gnutls_session_t session, const char *user, gnutls_datum_t *key)
{
    enum { INVENTED_BYTES = 32 };
    struct tls_attempt *attempt = gnutls_session_get_ptr(session);
    size_t length = INVENTED_BYTES;
    const unsigned char *found = tls_psk_find(attempt->credentials->keys, user, &length);

    attempt->has_user = true;
    attempt->is_user_known = found;
    snprintf(attempt->user, sizeof attempt->user, "%s", user);
    key->data = gnutls_malloc(length);
    key->size = (unsigned)length;
    if (!key->data)
        return GNUTLS_E_MEMORY_ERROR;
    if (found)
        memcpy(key->data, found, length);
    /* Who has no key shall not find out either which users there are. */
    return found ? 0 : gnutls_rnd(GNUTLS_RND_RANDOM, key->data, length);
}

static enum tls_outcome load_psk(struct tls_credentials *credentials, const char *path,
                                 struct tls_fault *fault)
{
    gnutls_datum_t content = { .data = NULL };
    char wrong[TLS_PSK_FAULT_MAX];

    if (tls_file_load(path, &content, fault) != TLS_LOADED)
        return TLS_BROKEN;
    credentials->keys = tls_psk_parse((const char *)content.data, content.size, wrong);
    tls_file_forget(&content);
    if (!credentials->keys)
        return tls_file_fail(fault, "%s: %s", path, wrong);
    int error = gnutls_psk_allocate_server_credentials(&credentials->psk);
    if (error < 0)
        return tls_file_fail(fault, "%s: %s", path, gnutls_strerror(error));
    gnutls_psk_set_server_credentials_function(credentials->psk, find_key);
    gnutls_psk_set_server_known_dh_params(credentials->psk, GNUTLS_SEC_PARAM_MEDIUM);
    log_debug("TLS with pre-shared keys from %s", path);
    return TLS_LOADED;
}

/* Returns 0, or -1 after logging. */
static int set_priority(struct tls_credentials *credentials, const char *given)
{
    CLEANUP_FREE char *text = NULL;
    const char *wrong = NULL;

    if (asprintf(&text, "%s%s", given ? given : DEFAULT_PRIORITY,
                 credentials->psk ? PSK_PRIORITY : "") < 0) {
        text = NULL;
        log_error("%m");
        return -1;
    }
    int error = gnutls_priority_init(&credentials->priority, text, &wrong);
    if (error == 0)
        return 0;
    const char *why = gnutls_strerror(error);
    if (wrong && wrong >= text && *wrong && given && (size_t)(wrong - text) < strlen(given))
        log_error("--tls-priority=%s is not a priority string of GnuTLS, from \"%s\" on: %s", given,
                  given + (wrong - text), why);
    else
        log_error("--tls-priority=%s: %s", given ? given : DEFAULT_PRIORITY, why);
    return -1;
}

static void write_gnutls_log(int level, const char *text)
{
    log_debug("gnutls %d: %.*s", level, (int)strcspn(text, "\n"), text);
}

/* Nothing could be loaded. Returns 0, or -1 where that cannot be. */
static int do_without(struct policy *policy, enum tls_outcome outcome,
                      const struct tls_fault *fault)
{
    if (policy->tls == TLS_REQUIRE) {
        log_error("--tls=require, but %s; name a folder with --tls-certificates or a file with "
                  "--tls-psk; nbdlab-tls(1) tells how to make them",
                  fault->text);
        return -1;
    }
    if (policy->tls == TLS_ON || outcome == TLS_BROKEN)
        log_warning("TLS is off, and nothing is encrypted: %s; with --tls=require nothing would be "
                    "served like this, with --tls=off nothing said",
                    fault->text);
    else
        log_debug("TLS is off: %s", fault->text);
    policy->tls = TLS_OFF;
    return 0;
}

static enum tls_outcome load(struct tls_credentials *credentials, const struct tls_sources *sources,
                             struct tls_fault *fault)
{
    if (sources->psk)
        return load_psk(credentials, sources->psk, fault);
    if (!sources->certificates)
        return tls_certificates_load_default(&credentials->certificates, fault);
    /* Named, but not there: that is not what the user meant. */
    enum tls_outcome outcome =
        tls_certificates_load(&credentials->certificates, sources->certificates, fault);
    return outcome == TLS_LOADED ? TLS_LOADED : TLS_BROKEN;
}

static void start_gnutls_log(void)
{
    gnutls_global_set_log_function(write_gnutls_log);
    gnutls_global_set_log_level(debug_flags_get(DEBUG_TLS_LOG));
}

/* Loads, and settles the mode. Returns 0 or -1; credentials are of use if TLS is not off then. */
static int load_and_settle(struct tls_credentials *credentials, struct policy *policy,
                           const struct tls_sources *sources)
{
    struct tls_fault fault;
    enum tls_outcome outcome = load(credentials, sources, &fault);

    if (outcome != TLS_LOADED && !sources->psk)
        return do_without(policy, outcome, &fault);
    if (outcome != TLS_LOADED) {
        log_error("--tls-psk: %s", fault.text);
        return -1;
    }
    if (policy->tls == TLS_DEFAULT)
        policy->tls = TLS_ON;
    credentials->verifies_peer = sources->verifies_peer;
    return set_priority(credentials, sources->priority);
}

int tls_credentials_settle(struct policy *policy, const struct tls_sources *sources)
{
    if (policy->is_oldstyle)
        policy->tls = TLS_OFF; /* the protocol has no place for it */
    if (policy->tls == TLS_OFF)
        return 0;
    struct tls_credentials *credentials = calloc(1, sizeof *credentials);
    if (!credentials) {
        log_error("%m");
        return -1;
    }
    if (debug_flags_get(DEBUG_TLS_LOG))
        start_gnutls_log();
    int result = load_and_settle(credentials, policy, sources);
    if (result == 0 && policy->tls != TLS_OFF)
        policy->tls_credentials = credentials;
    else
        tls_credentials_free(credentials);
    return result;
}

void tls_credentials_free(struct tls_credentials *credentials)
{
    if (!credentials)
        return;
    if (credentials->priority)
        gnutls_priority_deinit(credentials->priority);
    if (credentials->certificates)
        gnutls_certificate_free_credentials(credentials->certificates);
    if (credentials->psk)
        gnutls_psk_free_server_credentials(credentials->psk);
    tls_psk_free(credentials->keys);
    free(credentials);
}

/* A certificate that names its purposes must be meant for clients. */
static gnutls_typed_vdata_st client_purpose = {
    .type = GNUTLS_DT_KEY_PURPOSE_OID,
    .data = (unsigned char[]){ GNUTLS_KP_TLS_WWW_CLIENT },
};

static void demand_certificate(gnutls_session_t session)
{
    gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUIRE);
    gnutls_session_set_verify_cert2(session, &client_purpose, 1, 0);
}

int tls_credentials_use(struct tls_attempt *attempt, struct gnutls_session_int *session)
{
    const struct tls_credentials *credentials = attempt->credentials;
    int error = gnutls_priority_set(session, credentials->priority);

    gnutls_session_set_ptr(session, attempt);
    if (error < 0)
        return error;
    if (credentials->psk)
        return gnutls_credentials_set(session, GNUTLS_CRD_PSK, credentials->psk);
    if (credentials->verifies_peer)
        demand_certificate(session);
    return gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials->certificates);
}

bool tls_credentials_verify_peers(const struct tls_credentials *credentials)
{
    return credentials->certificates && credentials->verifies_peer;
}
