// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns a client's session of GnuTLS. What comes in and goes out passes through
 * buffers of ours, so that no call of GnuTLS is left half-way for want of room:
 * it would have to be repeated as it was, while the other thread's calls may
 * have changed the session (a key update) meanwhile. Entered by the
 * connection's threads; calls tls_credentials and log.
 */
#include "tls.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "debug_flags.h"
#include "log.h"
#include "tls_credentials.h"

enum {
    RECORD_BYTES = 16 * 1024,     /* the most that a record carries */
    INPUT_BYTES = 32 * 1024,      /* read at once */
    OUTPUT_FULL_BYTES = 64 * 1024 /* kept before somebody has to wait; a handshake may have more */
};

struct tls {
    gnutls_session_t session;
    struct tls_attempt attempt;
    int in_fd;
    int out_fd;
    bool is_in_socket;
    bool is_out_socket;
    char *peer_dn; /* NULL: "" */
    char *peer_issuer_dn;

    pthread_mutex_t lock; /* over every call of GnuTLS, and so over what its callbacks touch: */
    bool is_established;  /* the handshake is over */
    bool is_ended;        /* nothing more is sent */
    bool is_input_over;   /* end of file, or an error */
    int input_error;      /* errno then, 0 at end of file */
    size_t input_begin;   /* encrypted and unread: input[input_begin..input_end-1] */
    size_t input_end;
    size_t output_begin; /* encrypted and unsent */
    size_t output_end;
    size_t output_size;
    char *output;
    char input[INPUT_BYTES];
};

static ssize_t read_input(struct tls *tls)
{
    ssize_t got;

    do {
        got = tls->is_in_socket ? recv(tls->in_fd, tls->input, INPUT_BYTES, MSG_DONTWAIT)
                                : read(tls->in_fd, tls->input, INPUT_BYTES);
    } while (got < 0 && errno == EINTR);
    return got;
}

/*
 * GnuTLS's callback, under the lock: reads as recv(2), but for the end: GnuTLS
 * would take it for a reason to send no more either, and replies are still to go out.
 */
static ssize_t pull(gnutls_transport_ptr_t pointer, void *buffer, size_t length)
{
    struct tls *tls = pointer;

    if (tls->input_begin == tls->input_end) {
        ssize_t got = tls->is_input_over ? 0 : read_input(tls);
        if (got == 0 || (got < 0 && errno != EAGAIN)) {
            tls->is_input_over = true;
            tls->input_error = got < 0 ? errno : tls->input_error;
        }
        if (got <= 0) {
            gnutls_transport_set_errno(tls->session, EAGAIN);
            return -1;
        }
        tls->input_begin = 0;
        tls->input_end = (size_t)got;
    }
    size_t available = tls->input_end - tls->input_begin;
    size_t taken = length < available ? length : available;
    memcpy(buffer, tls->input + tls->input_begin, taken);
    tls->input_begin += taken;
    return (ssize_t)taken;
}

static int make_room(struct tls *tls, size_t length)
{
    if (tls->output_begin > 0) {
        memmove(tls->output, tls->output + tls->output_begin, tls->output_end - tls->output_begin);
        tls->output_end -= tls->output_begin;
        tls->output_begin = 0;
    }
    if (tls->output_size - tls->output_end >= length)
        return 0;
    size_t size = tls->output_end + length + RECORD_BYTES;
    char *output = realloc(tls->output, size);
    if (!output)
        return -1;
    tls->output = output;
    tls->output_size = size;
    return 0;
}

/* GnuTLS's callback, under the lock: keeps what is to be sent. */
static ssize_t push(gnutls_transport_ptr_t pointer, const void *data, size_t length)
{
    struct tls *tls = pointer;

    if (tls->output_size - tls->output_end < length && make_room(tls, length) < 0) {
        gnutls_transport_set_errno(tls->session, ENOMEM);
        return -1;
    }
    memcpy(tls->output + tls->output_end, data, length);
    tls->output_end += length;
    return (ssize_t)length;
}

/* Sends what is kept; under the lock. Returns 0 when all is gone, -1 with errno. */
static int flush_output(struct tls *tls)
{
    while (tls->output_begin < tls->output_end) {
        const char *from = tls->output + tls->output_begin;
        size_t length = tls->output_end - tls->output_begin;
        ssize_t sent = tls->is_out_socket
                           ? send(tls->out_fd, from, length, MSG_NOSIGNAL | MSG_DONTWAIT)
                           : write(tls->out_fd, from, length);
        if (sent < 0 && errno != EINTR)
            return -1;
        if (sent > 0)
            tls->output_begin += (size_t)sent;
    }
    tls->output_begin = tls->output_end = 0;
    return 0;
}

int tls_flush(struct tls *tls)
{
    LOCK_SCOPE(&tls->lock);

    return flush_output(tls);
}

static bool is_socket(int fd)
{
    struct stat status;

    return fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
}

struct tls *tls_new(const struct tls_credentials *credentials, int in_fd, int out_fd)
{
    struct tls *tls = calloc(1, sizeof *tls);

    if (!tls) {
        log_error("TLS: %m");
        return NULL;
    }
    tls->attempt.credentials = credentials;
    tls->in_fd = in_fd;
    tls->out_fd = out_fd;
    tls->is_in_socket = is_socket(in_fd);
    tls->is_out_socket = is_socket(out_fd);
    pthread_mutex_init(&tls->lock, NULL);
    int error = gnutls_init(&tls->session, GNUTLS_SERVER | GNUTLS_NONBLOCK);
    if (error == 0)
        error = tls_credentials_use(&tls->attempt, tls->session);
    if (error < 0) {
        log_error("TLS: %s", gnutls_strerror(error));
        tls_free(tls);
        return NULL;
    }
    gnutls_transport_set_ptr(tls->session, tls);
    gnutls_transport_set_pull_function(tls->session, pull);
    gnutls_transport_set_push_function(tls->session, push);
    return tls;
}

/* What GnuTLS has against the client's certificate. */
static void log_bad_certificate(struct tls *tls)
{
    gnutls_datum_t text = { .data = NULL };
    unsigned status = gnutls_session_get_verify_cert_status(tls->session);

    gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0);
    while (text.data && text.size > 0 && text.data[text.size - 1] == ' ')
        text.data[--text.size] = '\0';
    log_error("TLS handshake failed, the client's certificate is not accepted: %s",
              text.data ? (char *)text.data : "?");
    gnutls_free(text.data);
}

static void log_bad_user(const struct tls *tls, int error)
{
    char quoted[LOG_QUOTED_MAX];
    const struct tls_attempt *attempt = &tls->attempt;

    log_quote(quoted, attempt->user);
    if (attempt->is_user_known)
        log_error("TLS handshake failed, the client's key is probably not the one that user %s "
                  "has in the --tls-psk file: %s",
                  quoted, gnutls_strerror(error));
    else
        log_error("TLS handshake failed, there is no user %s in the --tls-psk file", quoted);
}

static void log_failure(struct tls *tls, int error)
{
    if (error == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR)
        log_bad_certificate(tls);
    else if (error == GNUTLS_E_FATAL_ALERT_RECEIVED)
        log_error("TLS handshake failed, the client says: %s",
                  gnutls_alert_get_name(gnutls_alert_get(tls->session)));
    else if (tls->attempt.has_user)
        log_bad_user(tls, error);
    else if (error == GNUTLS_E_CERTIFICATE_REQUIRED || error == GNUTLS_E_NO_CERTIFICATE_FOUND)
        log_error("TLS handshake failed, the client shows no certificate that ca-cert.pem stands "
                  "for, and --tls-verify-peer wants one");
    else if (error == GNUTLS_E_DECRYPTION_FAILED)
        /* OpenSSL's alerts of TLS 1.3 come in the clear, where GnuTLS expects no such thing. */
        log_error("TLS handshake failed: %s The client may not trust the server's certificate.",
                  gnutls_strerror(error));
    else
        log_error("TLS handshake failed: %s", gnutls_strerror(error));
}

/* Copies a name of a certificate out of GnuTLS's memory. */
static char *keep_name(int error, gnutls_datum_t *name)
{
    char *copy = error == 0 ? strndup((const char *)name->data, name->size) : NULL;

    if (error == 0)
        gnutls_free(name->data);
    return copy;
}

static void note_peer(struct tls *tls)
{
    unsigned count = 0;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(tls->session, &count);
    gnutls_x509_crt_t certificate;
    gnutls_datum_t name;

    if (!chain || count == 0 || gnutls_x509_crt_init(&certificate) < 0)
        return;
    if (gnutls_x509_crt_import(certificate, &chain[0], GNUTLS_X509_FMT_DER) == 0) {
        tls->peer_dn = keep_name(gnutls_x509_crt_get_dn3(certificate, &name, 0), &name);
        tls->peer_issuer_dn =
            keep_name(gnutls_x509_crt_get_issuer_dn3(certificate, &name, 0), &name);
    }
    gnutls_x509_crt_deinit(certificate);
}

static void log_session(struct tls *tls)
{
    char quoted[LOG_QUOTED_MAX];
    char *description = gnutls_session_get_desc(tls->session);

    log_debug("TLS: %s%s%s", description ? description : "?",
              tls->attempt.has_user ? ", user " : "",
              tls->attempt.has_user ? log_quote(quoted, tls->attempt.user) : "");
    gnutls_free(description);
    if (debug_flags_get(DEBUG_TLS_SESSION) && tls->peer_dn) {
        log_debug("TLS: the client's certificate is of %s", log_quote(quoted, tls->peer_dn));
        log_debug("TLS: issued by %s", log_quote(quoted, tls_get_peer_issuer_dn(tls)));
    }
}

int tls_shake_hands(struct tls *tls)
{
    LOCK_SCOPE(&tls->lock);
    int error;

    do {
        error = gnutls_handshake(tls->session);
    } while (error < 0 && error != GNUTLS_E_AGAIN && !gnutls_error_is_fatal(error));
    if (error == GNUTLS_E_AGAIN) {
        if (tls->is_input_over)
            log_debug("the connection ended in the middle of the TLS handshake");
        errno = tls->is_input_over ? ECONNRESET : EAGAIN;
        return -1;
    }
    if (error < 0) {
        gnutls_alert_send_appropriate(tls->session, error);
        log_failure(tls, error);
        errno = EPROTO;
        return -1;
    }
    tls->is_established = true;
    if (tls_credentials_verify_peers(tls->attempt.credentials))
        note_peer(tls);
    log_session(tls);
    return 0;
}

static ssize_t fail_to_receive(struct tls *tls, int error)
{
    if (error == GNUTLS_E_FATAL_ALERT_RECEIVED) {
        log_error("TLS: the client gives up: %s",
                  gnutls_alert_get_name(gnutls_alert_get(tls->session)));
    } else {
        log_error("TLS: what the client sent cannot be read: %s", gnutls_strerror(error));
        gnutls_alert_send_appropriate(tls->session, error);
    }
    errno = EPROTO;
    return -1;
}

/* Does what an error of gnutls_record_recv() asks for. Returns as tls_recv(), or 1 to go on. */
static ssize_t handle_trouble(struct tls *tls, int error)
{
    switch (error) {
    case GNUTLS_E_AGAIN:
        /* What there was to read was no data, such as a key update; more of it is here already. */
        if (tls->input_begin < tls->input_end)
            return 1;
        errno = tls->is_input_over ? tls->input_error : EAGAIN;
        return errno ? -1 : 0;
    case GNUTLS_E_INTERRUPTED:
        return 1;
    case GNUTLS_E_WARNING_ALERT_RECEIVED:
        log_debug("TLS: the client says: %s",
                  gnutls_alert_get_name(gnutls_alert_get(tls->session)));
        return 1;
    default:
        return fail_to_receive(tls, error);
    }
}

ssize_t tls_recv(struct tls *tls, void *buffer, size_t length)
{
    LOCK_SCOPE(&tls->lock);
    ssize_t got;
    ssize_t result;

    do {
        got = gnutls_record_recv(tls->session, buffer, length);
        result = got < 0 ? handle_trouble(tls, (int)got) : got;
    } while (got < 0 && result > 0);
    /* An alert or a key update may have to go out; what does not, goes with the next reply. */
    int saved_errno = errno;
    if (tls->output_begin < tls->output_end)
        flush_output(tls);
    errno = saved_errno;
    return result;
}

bool tls_has_input(struct tls *tls)
{
    LOCK_SCOPE(&tls->lock);

    return tls->input_begin < tls->input_end || gnutls_record_check_pending(tls->session) > 0;
}

/* Copies the beginning of the vectors: small parts of a reply go into one record. */
static size_t gather(char record[static RECORD_BYTES], const struct iovec *vectors, int count)
{
    size_t length = 0;

    for (int i = 0; i < count && length < RECORD_BYTES; i++) {
        size_t room = RECORD_BYTES - length;
        size_t part = vectors[i].iov_len < room ? vectors[i].iov_len : room;
        if (part > 0)
            memcpy(record + length, vectors[i].iov_base, part);
        length += part;
    }
    return length;
}

ssize_t tls_send(struct tls *tls, const struct iovec *vectors, int count)
{
    char record[RECORD_BYTES];
    const void *from = record;
    size_t length = RECORD_BYTES;

    if (vectors[0].iov_len >= RECORD_BYTES)
        from = vectors[0].iov_base;
    else
        length = gather(record, vectors, count);
    LOCK_SCOPE(&tls->lock);
    if (tls->is_ended) {
        errno = EPIPE;
        return -1;
    }
    if (tls->output_end - tls->output_begin >= OUTPUT_FULL_BYTES && flush_output(tls) < 0)
        return -1;
    if (length == 0)
        return 0;
    ssize_t sent = gnutls_record_send(tls->session, from, length);
    if (sent >= 0)
        return sent;
    /* Whoever reads has found the session to be broken, and said so. */
    if (sent != GNUTLS_E_INVALID_SESSION)
        log_error("TLS: cannot send: %s", gnutls_strerror((int)sent));
    errno = EPROTO;
    return -1;
}

bool tls_is_established(struct tls *tls)
{
    LOCK_SCOPE(&tls->lock);

    return tls->is_established;
}

void tls_say_goodbye(struct tls *tls)
{
    LOCK_SCOPE(&tls->lock);

    gnutls_bye(tls->session, GNUTLS_SHUT_WR);
}

void tls_end_now(struct tls *tls)
{
    LOCK_SCOPE(&tls->lock);

    /* What is kept is the rest of a record that the client has not taken. */
    if (tls->is_established && !tls->is_ended && tls->output_begin == tls->output_end) {
        gnutls_bye(tls->session, GNUTLS_SHUT_WR);
        flush_output(tls);
    }
    tls->is_ended = true;
}

const char *tls_get_peer_dn(const struct tls *tls)
{
    return tls->peer_dn ? tls->peer_dn : "";
}

const char *tls_get_peer_issuer_dn(const struct tls *tls)
{
    return tls->peer_issuer_dn ? tls->peer_issuer_dn : "";
}

void tls_free(struct tls *tls)
{
    if (tls->session)
        gnutls_deinit(tls->session);
    pthread_mutex_destroy(&tls->lock);
    free(tls->peer_dn);
    free(tls->peer_issuer_dn);
    if (tls->output)
        explicit_bzero(tls->output, tls->output_size);
    free(tls->output);
    free(tls);
}
