/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A disk that notes what each callback learns of the client's TLS (parameter log=FILE).
 */
#include <stdlib.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "record.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

static int secure_config(const char *key, const char *value)
{
    return record_set_parameter(key, value) == 1 ? 0 : -1;
}

static void note(const char *callback)
{
    char *name = nbdkit_peer_tls_dn();
    char *issuer = nbdkit_peer_tls_issuer_dn();

    RECORD("%s is_tls=%d dn=<%s> issuer=<%s>\n", callback, nbdkit_is_tls(), name ? name : "none",
           issuer ? issuer : "none");
    free(name);
    free(issuer);
}

static int secure_get_ready(void)
{
    note("get_ready");
    return 0;
}

static int secure_preconnect(int readonly)
{
    (void)readonly;
    note("preconnect");
    return 0;
}

static int secure_list_exports(int readonly, int is_tls, struct nbdkit_exports *exports)
{
    (void)readonly;
    RECORD("list_exports is_tls=%d\n", is_tls);
    return nbdkit_add_export(exports, is_tls ? "secret" : "open", NULL);
}

static const char *secure_default_export(int readonly, int is_tls)
{
    (void)readonly;
    RECORD("default_export is_tls=%d\n", is_tls);
    return is_tls ? "secret" : "open";
}

static void *secure_open(int readonly)
{
    (void)readonly;
    note("open");
    return NBDKIT_HANDLE_NOT_NEEDED;
}

static void secure_close(void *handle)
{
    (void)handle;
    note("close");
}

static int64_t secure_get_size(void *handle)
{
    (void)handle;
    return RECORD_BYTES;
}

static int secure_pread(void *handle, void *buffer, uint32_t count, uint64_t offset, uint32_t flags)
{
    (void)handle;
    (void)offset;
    (void)flags;
    note("pread");
    memset(buffer, 0, count);
    return 0;
}

static struct nbdkit_plugin plugin = {
    .name = "secure",
    .config = secure_config,
    .get_ready = secure_get_ready,
    .preconnect = secure_preconnect,
    .list_exports = secure_list_exports,
    .default_export = secure_default_export,
    .open = secure_open,
    .close = secure_close,
    .get_size = secure_get_size,
    .pread = secure_pread,
};

NBDKIT_REGISTER_PLUGIN(plugin)
