/* SPDX-License-Identifier: BSD-3-Clause */
/* Folders of X.509 certificates: ca-cert.pem, server-cert.pem, server-key.pem, and ca-crl.pem. */
#ifndef TLS_CERTIFICATES_H
#define TLS_CERTIFICATES_H

#include <gnutls/gnutls.h>

#include "tls_file.h"

/*
 * Loads a folder into *certificates, which the caller frees. Otherwise it is
 * NULL, and `fault` says why: TLS_NOTHING_THERE without server-cert.pem,
 * TLS_BROKEN where anything is wrong or missing beside that. Main thread.
 */
enum tls_outcome tls_certificates_load(gnutls_certificate_credentials_t *certificates,
                                       const char *folder, struct tls_fault *fault);

/* The same for the first of the default folders that has a server-cert.pem. */
enum tls_outcome tls_certificates_load_default(gnutls_certificate_credentials_t *certificates,
                                               struct tls_fault *fault);

#endif
