// SPDX-License-Identifier: BSD-3-Clause
/*
 * Loads folders of certificates. Owns nothing. Entered by the main thread at
 * start-up; calls tls_file and log.
 */
#include "tls_certificates.h"

#include <errno.h>
#include <gnutls/x509.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "log.h"

/* One of the files of a folder of certificates. */
struct part {
    char *path;
    gnutls_datum_t content;
};

static void free_part(struct part *part)
{
    free(part->path);
    tls_file_forget(&part->content);
}

#define CLEANUP_PART __attribute__((__cleanup__(free_part)))

static enum tls_outcome load_part(const char *folder, const char *name, struct part *part,
                                  struct tls_fault *fault)
{
    if (asprintf(&part->path, "%s/%s", folder, name) < 0) {
        part->path = NULL;
        return tls_file_fail(fault, "%s/%s: no memory", folder, name);
    }
    return tls_file_load(part->path, &part->content, fault);
}

static enum tls_outcome use_authority(gnutls_certificate_credentials_t certificates,
                                      const char *folder, struct tls_fault *fault)
{
    CLEANUP_PART struct part part = { .path = NULL };

    if (load_part(folder, "ca-cert.pem", &part, fault) != TLS_LOADED)
        return TLS_BROKEN;
    int count =
        gnutls_certificate_set_x509_trust_mem(certificates, &part.content, GNUTLS_X509_FMT_PEM);
    if (count <= 0)
        return tls_file_fail(fault, "there is no certificate in %s: %s", part.path,
                             count ? gnutls_strerror(count) : "it is no PEM file");
    return TLS_LOADED;
}

static enum tls_outcome use_revocations(gnutls_certificate_credentials_t certificates,
                                        const char *folder, struct tls_fault *fault)
{
    CLEANUP_PART struct part part = { .path = NULL };
    enum tls_outcome outcome = load_part(folder, "ca-crl.pem", &part, fault);

    if (outcome != TLS_LOADED)
        return outcome == TLS_NOTHING_THERE ? TLS_LOADED : outcome;
    int count =
        gnutls_certificate_set_x509_crl_mem(certificates, &part.content, GNUTLS_X509_FMT_PEM);
    if (count <= 0)
        return tls_file_fail(fault, "there is no revocation list in %s: %s", part.path,
                             count ? gnutls_strerror(count) : "it is no PEM file");
    return TLS_LOADED;
}

/* A chain of certificates and the key of the first; both from GnuTLS. */
struct identity {
    gnutls_x509_crt_t *chain;
    unsigned chain_length;
    gnutls_x509_privkey_t key;
};

static void free_identity(struct identity *identity)
{
    for (unsigned i = 0; i < identity->chain_length; i++)
        gnutls_x509_crt_deinit(identity->chain[i]);
    gnutls_free(identity->chain);
    if (identity->key)
        gnutls_x509_privkey_deinit(identity->key);
}

/* Clients will not accept it, and few of them tell the server why. */
static void warn_of_dates(const char *path, gnutls_x509_crt_t certificate)
{
    time_t now = time(NULL);

    if (gnutls_x509_crt_get_expiration_time(certificate) < now)
        log_warning("the certificate in %s has expired: clients will not accept it", path);
    else if (gnutls_x509_crt_get_activation_time(certificate) > now)
        log_warning("the certificate in %s is not valid yet: clients will not accept it", path);
}

static enum tls_outcome load_chain(const char *folder, struct identity *identity,
                                   struct tls_fault *fault)
{
    CLEANUP_PART struct part part = { .path = NULL };
    enum tls_outcome outcome = load_part(folder, "server-cert.pem", &part, fault);

    if (outcome != TLS_LOADED)
        return outcome;
    int error = gnutls_x509_crt_list_import2(&identity->chain, &identity->chain_length,
                                             &part.content, GNUTLS_X509_FMT_PEM, 0);
    if (error < 0)
        return tls_file_fail(fault, "there is no certificate in %s: %s", part.path,
                             gnutls_strerror(error));
    warn_of_dates(part.path, identity->chain[0]);
    return TLS_LOADED;
}

static enum tls_outcome load_key(const char *folder, struct identity *identity,
                                 struct tls_fault *fault)
{
    CLEANUP_PART struct part part = { .path = NULL };

    if (load_part(folder, "server-key.pem", &part, fault) != TLS_LOADED)
        return TLS_BROKEN;
    int error = gnutls_x509_privkey_init(&identity->key);
    if (error == 0)
        error =
            gnutls_x509_privkey_import2(identity->key, &part.content, GNUTLS_X509_FMT_PEM, NULL, 0);
    if (error == GNUTLS_E_DECRYPTION_FAILED)
        return tls_file_fail(fault,
                             "the private key in %s has a password, which nobody can be asked "
                             "for: openssl pkey -in FILE writes it without one",
                             part.path);
    if (error < 0)
        return tls_file_fail(fault, "there is no private key in %s: %s", part.path,
                             gnutls_strerror(error));
    return TLS_LOADED;
}

static enum tls_outcome use_server_certificate(gnutls_certificate_credentials_t certificates,
                                               const char *folder, struct tls_fault *fault)
{
    __attribute__((__cleanup__(free_identity))) struct identity identity = { .chain = NULL };
    enum tls_outcome outcome = load_chain(folder, &identity, fault);

    if (outcome == TLS_LOADED)
        outcome = load_key(folder, &identity, fault);
    if (outcome != TLS_LOADED)
        return outcome;
    int error = gnutls_certificate_set_x509_key(certificates, identity.chain,
                                                (int)identity.chain_length, identity.key);
    if (error < 0)
        return tls_file_fail(fault, "server-cert.pem and server-key.pem in %s: %s", folder,
                             gnutls_strerror(error));
    return TLS_LOADED;
}

enum tls_outcome tls_certificates_load(gnutls_certificate_credentials_t *certificates,
                                       const char *folder, struct tls_fault *fault)
{
    int error = gnutls_certificate_allocate_credentials(certificates);

    if (error < 0) {
        *certificates = NULL;
        return tls_file_fail(fault, "%s: %s", folder, gnutls_strerror(error));
    }
    enum tls_outcome outcome = use_server_certificate(*certificates, folder, fault);
    if (outcome == TLS_LOADED)
        outcome = use_authority(*certificates, folder, fault);
    if (outcome == TLS_LOADED)
        outcome = use_revocations(*certificates, folder, fault);
    if (outcome == TLS_LOADED) {
        log_debug("TLS certificates from %s", folder);
        gnutls_certificate_set_known_dh_params(*certificates, GNUTLS_SEC_PARAM_MEDIUM);
        return TLS_LOADED;
    }
    gnutls_certificate_free_credentials(*certificates);
    *certificates = NULL;
    return outcome;
}

enum tls_outcome tls_certificates_load_default(gnutls_certificate_credentials_t *certificates,
                                               struct tls_fault *fault)
{
    static const char *const users[] = { ".pki/nbdlab", ".pki/nbdkit", ".config/pki/nbdlab",
                                         ".config/pki/nbdkit", NULL };
    static const char *const roots[] = { "pki/nbdlab", "pki/nbdkit", NULL };
    bool is_root = geteuid() == 0;
    const char *base = is_root ? SYSCONF_FOLDER : getenv("HOME");
    const char *const *names = is_root ? roots : users;

    int obstacle = ENOENT;

    for (; base && *names; names++) {
        CLEANUP_FREE char *folder = NULL;
        if (asprintf(&folder, "%s/%s", base, *names) < 0) {
            folder = NULL;
            return tls_file_fail(fault, "there is no memory");
        }
        /* Nobody has named it: a home that cannot be entered is as good as an empty one. */
        if (access(folder, F_OK) < 0) {
            obstacle = errno;
            continue;
        }
        enum tls_outcome outcome = tls_certificates_load(certificates, folder, fault);
        if (outcome != TLS_NOTHING_THERE)
            return outcome;
    }
    const char *why = obstacle == ENOENT ? "" : strerror(obstacle);
    if (is_root)
        tls_file_fail(fault, "there are no certificates in %s/%s or %s/%s%s%s", base, roots[0],
                      base, roots[1], *why ? ": " : "", why);
    else
        tls_file_fail(fault, "there are no certificates in ~/%s, ~/%s, ~/%s or ~/%s%s%s", users[0],
                      users[1], users[2], users[3], *why ? ": " : "", why);
    return TLS_NOTHING_THERE;
}
