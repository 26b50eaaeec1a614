/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How the server treats its clients, as the command line has it (nbdlab(1)).
 * Constant from the first client on; any thread reads it.
 */
#ifndef POLICY_H
#define POLICY_H

#include <stdbool.h>
#include <stdint.h>

enum tls_mode {
    TLS_OFF,
    TLS_ON,      /* offered */
    TLS_REQUIRE, /* nothing is served without it */
    TLS_DEFAULT, /* --tls was not given: on if there are credentials; settled at start-up */
};

struct tls_credentials;

struct policy {
    bool is_readonly;                        /* -r */
    bool is_oldstyle;                        /* -o */
    bool refuses_structured_replies;         /* --no-sr */
    bool refuses_meta_contexts;              /* --no-mc */
    bool has_keepalive;                      /* --keepalive */
    uint16_t handshake_flags;                /* NBD_FLAG_* that --mask-handshake leaves */
    unsigned threads;                        /* -t: per connection, 1..1024 */
    unsigned timeout_ms;                     /* --timeout: for a handshake; 0: none */
    unsigned connections_max;                /* --connections: at once */
    uint64_t in_flight_max_bytes;            /* --bytes-in-flight: of all requests together */
    enum tls_mode tls;                       /* --tls */
    struct tls_credentials *tls_credentials; /* NULL if TLS is off */
};

#endif
