// SPDX-License-Identifier: BSD-3-Clause
/*
 * In place of tls.c and tls_credentials.c in a build without GnuTLS: says so
 * where TLS is asked for. Entered by the main thread; calls log.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "log.h"
#include "policy.h"
#include "tls.h"
#include "tls_credentials.h"

bool tls_credentials_is_built(void)
{
    return false;
}

static const char *find_wish(const struct policy *policy, const struct tls_sources *sources)
{
    if (policy->tls == TLS_REQUIRE)
        return "--tls=require";
    if (policy->tls == TLS_ON)
        return "--tls=on";
    if (sources->certificates)
        return "--tls-certificates";
    if (sources->psk)
        return "--tls-psk";
    if (sources->priority)
        return "--tls-priority";
    return sources->verifies_peer ? "--tls-verify-peer" : NULL;
}

int tls_credentials_settle(struct policy *policy, const struct tls_sources *sources)
{
    const char *wish = policy->tls == TLS_OFF ? NULL : find_wish(policy, sources);

    policy->tls = TLS_OFF;
    if (!wish)
        return 0;
    log_error("%s: this program was built without TLS; build it again where GnuTLS is (on Debian "
              "the package libgnutls28-dev), or leave the option out",
              wish);
    return -1;
}

void tls_credentials_free(struct tls_credentials *credentials)
{
    (void)credentials;
}

/* As nobody gets credentials, nobody gets a session, and nobody calls what follows. */

struct tls *tls_new(const struct tls_credentials *credentials, int in_fd, int out_fd)
{
    (void)credentials;
    (void)in_fd;
    (void)out_fd;
    log_error("TLS: this program was built without it");
    return NULL;
}

int tls_shake_hands(struct tls *tls)
{
    (void)tls;
    abort();
}

ssize_t tls_recv(struct tls *tls, void *buffer, size_t length)
{
    (void)tls;
    (void)buffer;
    (void)length;
    abort();
}

bool tls_has_input(struct tls *tls)
{
    (void)tls;
    abort();
}

ssize_t tls_send(struct tls *tls, const struct iovec *vectors, int count)
{
    (void)tls;
    (void)vectors;
    (void)count;
    abort();
}

int tls_flush(struct tls *tls)
{
    (void)tls;
    abort();
}

bool tls_is_established(struct tls *tls)
{
    (void)tls;
    abort();
}

void tls_end_now(struct tls *tls)
{
    (void)tls;
    abort();
}

void tls_say_goodbye(struct tls *tls)
{
    (void)tls;
    abort();
}

const char *tls_get_peer_dn(const struct tls *tls)
{
    (void)tls;
    abort();
}

const char *tls_get_peer_issuer_dn(const struct tls *tls)
{
    (void)tls;
    abort();
}

void tls_free(struct tls *tls)
{
    (void)tls;
    abort();
}
