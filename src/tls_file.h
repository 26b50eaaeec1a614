/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads the files of --tls-certificates and --tls-psk, and says why that failed. GnuTLS's memory.
 */
#ifndef TLS_FILE_H
#define TLS_FILE_H

#include <gnutls/gnutls.h>

enum tls_outcome {
    TLS_LOADED,
    TLS_NOTHING_THERE, /* there is no such file */
    TLS_BROKEN,
};

/* Why there are no credentials: half a sentence. The caller knows how bad that is. */
struct tls_fault {
    char text[1024];
};

/* Fills the fault in, without the full stop that GnuTLS's texts have. Returns TLS_BROKEN. */
enum tls_outcome tls_file_fail(struct tls_fault *fault, const char *format, ...)
    __attribute__((__format__(__printf__, 2, 3)));

/* Reads a whole file, for tls_file_forget() to free. */
enum tls_outcome tls_file_load(const char *path, gnutls_datum_t *content, struct tls_fault *fault);

/* Overwrites and frees. */
void tls_file_forget(gnutls_datum_t *content);

#endif
