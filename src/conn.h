/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A connection: its stream, what was negotiated, and its state. The session's
 * thread owns it and frees it after joining its workers; every other thread
 * may only conn_advance(), conn_get_state() and conn_sleep() it, and send.
 */
#ifndef CONN_H
#define CONN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include <time.h>

#include "budget.h"
#include "intern.h"
#include "spares.h"

struct policy;
struct transport;

/* A client that takes or sends this much is alive. */
enum { CONN_SLICE_BYTES = 4 * 1024 * 1024 };

/* A rank that only rises. HACKING.md has the table of what each one means. */
enum conn_state {
    CONN_ACTIVE,
    CONN_DRAINING, /* new commands but NBD_CMD_DISC fail with ESHUTDOWN */
    CONN_CLOSING,  /* nothing more is read; replies still go out */
    CONN_DEAD,     /* nothing more is read or sent */
};

/* What the plugin said about the export, asked once per open. Constant while it is open. */
struct conn_export {
    void *handle;         /* NULL: no export is open */
    char *requested_name; /* as the client named it */
    char *name;           /* as the plugin knows it: "" is resolved to the default export's name */
    char *lent_name;      /* the same, for a plugin that may change it in place */
    uint64_t size_bytes;
    uint32_t block_minimum; /* bytes; block_minimum 0 means that the plugin did not say */
    uint32_t block_preferred;
    uint32_t block_maximum;
    uint32_t call_max;    /* bytes that the plugin takes in one read or write */
    uint32_t payload_max; /* bytes that a request may carry at most; more than call_max is split */
    int can_fua;          /* NBDKIT_FUA_* */
    int can_cache;        /* NBDKIT_CACHE_* */
    bool can_write;
    bool can_flush;
    bool can_trim;
    bool can_zero;
    bool can_fast_zero;
    bool can_extents;
    uint32_t sparse_minimum; /* bytes: shorter reads do not ask for holes; UINT32_MAX: none does */
    bool can_multi_conn;
    bool is_rotational;
};

struct conn {
    unsigned number; /* counts from 1; in log messages */
    struct transport *transport;
    const struct policy *policy;

    _Atomic enum conn_state state; /* written under state_lock */
    pthread_mutex_t state_lock;
    bool is_client_gone; /* its stream ended; under state_lock */
    pthread_cond_t state_changed;

    pthread_mutex_t write_lock;   /* keeps a reply whole */
    pthread_mutex_t request_lock; /* plugin.c's, for NBDKIT_THREAD_MODEL_SERIALIZE_REQUESTS */

    /* The session's thread writes these during the handshake, then nobody. */
    struct conn_export export;
    bool has_structured_replies; /* or extended ones: replies in chunks */
    bool has_extended_headers;
    _Atomic bool has_extents_failed; /* for a read: not worth asking again */
    _Atomic bool has_zero_failed;    /* zeroes were written instead */
    char *default_name;              /* what "" stands for, once the plugin was asked, or NULL */
    char *meta_export; /* the export for which base:allocation was selected, or NULL */

    struct intern intern;
    struct budget_account memory; /* of its requests */
    struct spares spares;
};

/*
 * Makes a connection, ACTIVE, that takes over `transport`. Returns NULL with
 * errno, and then transport is still the caller's.
 */
struct conn *conn_new(struct transport *transport, unsigned number, const struct policy *policy);

/* Closes the stream and frees everything. The export must be closed. */
void conn_free(struct conn *conn);

/* Moves to `target` unless the connection is there or beyond. Any thread. */
void conn_advance(struct conn *conn, enum conn_state target);

enum conn_state conn_get_state(struct conn *conn);

/* Reads a payload. Returns as transport_recv(). The thread whose turn it is to read. */
int conn_receive(struct conn *conn, void *buffer, size_t length);

/* Was base:allocation selected for the export that is open? */
bool conn_has_meta_context(const struct conn *conn);

/* Notes that the client hung up without a word, so that nobody sleeps for it. Any thread. */
void conn_note_client_gone(struct conn *conn);

/*
 * Should work that can take for ever be left? The server closes the connection,
 * or the client has hung up. Any thread.
 */
bool conn_is_ending(struct conn *conn);

/*
 * Sends a whole message, unless the connection is DEAD; a failure makes it
 * DEAD. Changes the vectors. Takes write_lock. Returns 0 or -1.
 */
int conn_send(struct conn *conn, struct iovec *vectors, int count);

/*
 * Sends what the client takes of a message without waiting: the last one of a
 * connection that is about to be DEAD.
 */
void conn_send_now(struct conn *conn, struct iovec *vectors, int count);

/*
 * Sleeps until `deadline` (CLOCK_MONOTONIC). Returns true; false as soon as
 * there is no point in going on: the connection is DEAD, its client has hung
 * up, or the server is stopping.
 */
bool conn_sleep(struct conn *conn, const struct timespec *deadline);

#endif
