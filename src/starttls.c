// SPDX-License-Identifier: BSD-3-Clause
/*
 * The way from the clear into TLS. Entered by the session's thread; calls
 * option, export, conn and transport.
 */
#include "starttls.h"

#include <stdlib.h>

#include "conn.h"
#include "export.h"
#include "log.h"
#include "policy.h"
#include "tls_credentials.h"
#include "transport.h"
#include "wire.h"

static enum option_outcome refuse_tls(struct conn *conn, const struct option *option)
{
    if (tls_credentials_is_built())
        return option_reply_error(conn, option, NBD_REP_ERR_POLICY,
                                  "TLS is turned off in this server");
    return option_reply_error(conn, option, NBD_REP_ERR_UNSUP, "this server knows no TLS");
}

/* What was said in the clear could be anybody's: it does not count from here on. */
static void forget_everything(struct conn *conn)
{
    export_close(conn);
    export_forget_default_name(conn);
    conn->has_structured_replies = conn->has_extended_headers = false;
    free(conn->meta_export);
    conn->meta_export = NULL;
}

enum option_outcome starttls_do(struct conn *conn, const struct option *option)
{
    const struct policy *policy = conn->policy;
    size_t ahead = transport_count_ahead(conn->transport);

    if (transport_get_tls(conn->transport))
        return option_reply_error(conn, option, NBD_REP_ERR_INVALID, "TLS is in use already");
    if (option->length > 0)
        return option_reply_error(conn, option, NBD_REP_ERR_INVALID,
                                  "NBD_OPT_STARTTLS carries no data");
    if (!policy->tls_credentials)
        return refuse_tls(conn, option);
    if (ahead > 0) {
        log_error("the client did not wait for the answer to NBD_OPT_STARTTLS: %zu bytes follow it "
                  "in the clear, which somebody else may have put there; closing the connection",
                  ahead);
        return OPTION_FAILED;
    }
    if (option_reply_ack(conn, option) == OPTION_FAILED)
        return OPTION_FAILED;
    forget_everything(conn);
    if (transport_start_tls(conn->transport, policy->tls_credentials) < 0)
        return OPTION_FAILED;
    return OPTION_NEXT;
}

bool starttls_is_missing(struct conn *conn, const struct option *option)
{
    return conn->policy->tls == TLS_REQUIRE && !transport_get_tls(conn->transport) &&
           option->number != NBD_OPT_STARTTLS && option->number != NBD_OPT_ABORT;
}

enum option_outcome starttls_refuse(struct conn *conn, const struct option *option)
{
    if (option->number != NBD_OPT_EXPORT_NAME)
        return option_reply_error(conn, option, NBD_REP_ERR_TLS_REQD,
                                  "this server requires TLS: ask for it with NBD_OPT_STARTTLS");
    log_error("the client wants an export without TLS, which --tls=require forbids, closing the "
              "connection");
    return OPTION_FAILED;
}
