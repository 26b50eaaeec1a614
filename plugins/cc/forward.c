/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Passes callbacks on. Owns what is per connection. Every serving thread is in
 * here; which of them at once, the thread model says, which is the compiled
 * plugin's. Calls inner and its table.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "forward.h"
#include "inner.h"

struct client {
    void *handle; /* the compiled plugin's */
    bool can_zero;
};

int forward_get_ready(void)
{
    const struct nbdkit_plugin *inner = inner_get_table();

    return inner->get_ready ? inner->get_ready() : 0;
}

int forward_after_fork(void)
{
    const struct nbdkit_plugin *inner = inner_get_table();

    return inner->after_fork ? inner->after_fork() : 0;
}

void forward_cleanup(void)
{
    const struct nbdkit_plugin *inner = inner_get_table();

    if (inner->cleanup)
        inner->cleanup();
}

int forward_preconnect(int readonly)
{
    const struct nbdkit_plugin *inner = inner_get_table();

    return inner->preconnect ? inner->preconnect(readonly) : 0;
}

int forward_list_exports(int readonly, int is_tls, struct nbdkit_exports *exports)
{
    const struct nbdkit_plugin *inner = inner_get_table();

    return inner->list_exports ? inner->list_exports(readonly, is_tls, exports)
                               : nbdkit_use_default_export(exports);
}

const char *forward_default_export(int readonly, int is_tls)
{
    const struct nbdkit_plugin *inner = inner_get_table();

    return inner->default_export ? inner->default_export(readonly, is_tls) : "";
}

void *forward_open(int readonly)
{
    const struct nbdkit_plugin *inner = inner_get_table();
    struct client *client = malloc(sizeof *client);

    if (!client) {
        nbdkit_error("no memory");
        return NULL;
    }
    client->can_zero = inner->zero != NULL;
    client->handle = inner->open(readonly);
    if (client->handle)
        return client;
    free(client);
    return NULL;
}

void forward_close(void *handle)
{
    const struct nbdkit_plugin *inner = inner_get_table();
    struct client *client = handle;

    if (inner->close)
        inner->close(client->handle);
    free(client);
}

const char *forward_export_description(void *handle)
{
    const struct nbdkit_plugin *inner = inner_get_table();
    const struct client *client = handle;

    return inner->export_description ? inner->export_description(client->handle) : NULL;
}

int64_t forward_get_size(void *handle)
{
    const struct client *client = handle;

    return inner_get_table()->get_size(client->handle);
}

int forward_block_size(void *handle, uint32_t *minimum, uint32_t *preferred, uint32_t *maximum)
{
    const struct nbdkit_plugin *inner = inner_get_table();
    const struct client *client = handle;

    if (inner->block_size)
        return inner->block_size(client->handle, minimum, preferred, maximum);
    *minimum = *preferred = *maximum = 0;
    return 0;
}

/* Asks a question; `fallback` is the answer of a plugin without the callback. */
static int ask(const struct client *client, int (*callback)(void *handle), int fallback)
{
    return callback ? callback(client->handle) : fallback;
}

/* The same for something that takes a callback to do: without that, "yes" does not count. */
static int ask_able(const struct client *client, int (*callback)(void *handle), bool is_able)
{
    int answer = ask(client, callback, is_able);

    return answer > 0 && !is_able ? 0 : answer;
}

int forward_can_write(void *handle)
{
    const struct nbdkit_plugin *inner = inner_get_table();

    return ask_able(handle, inner->can_write, inner->pwrite != NULL);
}

int forward_can_flush(void *handle)
{
    const struct nbdkit_plugin *inner = inner_get_table();

    return ask_able(handle, inner->can_flush, inner->flush != NULL);
}

int forward_is_rotational(void *handle)
{
    return ask(handle, inner_get_table()->is_rotational, 0);
}

int forward_can_trim(void *handle)
{
    const struct nbdkit_plugin *inner = inner_get_table();

    return ask_able(handle, inner->can_trim, inner->trim != NULL);
}

int forward_can_zero(void *handle)
{
    const struct nbdkit_plugin *inner = inner_get_table();
    struct client *client = handle;
    int answer = ask_able(client, inner->can_zero, inner->zero != NULL);

    client->can_zero = answer > 0;
    return answer;
}

/* Without `zero`, every fast zero fails, and that is fast. */
int forward_can_fast_zero(void *handle)
{
    const struct client *client = handle;

    return ask(client, inner_get_table()->can_fast_zero, !client->can_zero);
}

int forward_can_fua(void *handle)
{
    const struct nbdkit_plugin *inner = inner_get_table();
    int answer = ask(handle, inner->can_fua, inner->flush ? NBDKIT_FUA_EMULATE : NBDKIT_FUA_NONE);

    return answer == NBDKIT_FUA_EMULATE && !inner->flush ? NBDKIT_FUA_NONE : answer;
}

int forward_can_multi_conn(void *handle)
{
    return ask(handle, inner_get_table()->can_multi_conn, 0);
}

/* An answer of 2 says that asking is slow. */
int forward_can_extents(void *handle)
{
    const struct nbdkit_plugin *inner = inner_get_table();

    return ask_able(handle, inner->can_extents, inner->extents != NULL);
}

int forward_can_cache(void *handle)
{
    const struct nbdkit_plugin *inner = inner_get_table();

    return ask(handle, inner->can_cache, inner->cache ? NBDKIT_CACHE_NATIVE : NBDKIT_CACHE_NONE);
}

/* Hides an errno that the plugin did not mean; one that it set by nbdkit_set_error() counts more.
 */
static int finish(int result)
{
    if (result < 0 && !inner_get_table()->errno_is_preserved)
        errno = EIO;
    return result;
}

int forward_pread(void *handle, void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
    const struct client *client = handle;

    return finish(inner_get_table()->pread(client->handle, buf, count, offset, flags));
}

/* The server calls none of the others where the question before was answered with no. */
int forward_pwrite(void *handle, const void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
    const struct client *client = handle;

    return finish(inner_get_table()->pwrite(client->handle, buf, count, offset, flags));
}

int forward_flush(void *handle, uint32_t flags)
{
    const struct client *client = handle;

    return finish(inner_get_table()->flush(client->handle, flags));
}

int forward_trim(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    const struct client *client = handle;

    return finish(inner_get_table()->trim(client->handle, count, offset, flags));
}

int forward_zero(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    const struct client *client = handle;

    return finish(inner_get_table()->zero(client->handle, count, offset, flags));
}

int forward_extents(void *handle, uint32_t count, uint64_t offset, uint32_t flags,
                    struct nbdkit_extents *extents)
{
    const struct client *client = handle;

    return finish(inner_get_table()->extents(client->handle, count, offset, flags, extents));
}

/* A plugin may have caching without a callback: there is nothing to do then. */
int forward_cache(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    const struct nbdkit_plugin *inner = inner_get_table();
    const struct client *client = handle;

    return inner->cache ? finish(inner->cache(client->handle, count, offset, flags)) : 0;
}
