// SPDX-License-Identifier: BSD-3-Clause
/*
 * Opens, describes and lists exports, with the defaults that
 * nbdlab-plugin(3) promises for callbacks that a plugin leaves out. Entered
 * by the session's thread; calls plugin and its table.
 */
#include "export.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "budget.h"
#include "cleanup.h"
#include "conn.h"
#include "debug_flags.h"
#include "exports.h"
#include "log.h"
#define NBDKIT_API_VERSION 2
#include "nbdkit-plugin.h"
#include "plugin.h"
#include "policy.h"
#include "transport.h"
#include "wire.h"

static bool is_tls(const struct conn *conn)
{
    return transport_get_tls(conn->transport);
}

/* Enters the plugin. Returns 0, or -1 where the connection has no use for answers any more. */
static int begin(struct conn *conn)
{
    plugin_enter(conn);
    if (conn_get_state(conn) < CONN_CLOSING)
        return 0;
    plugin_leave(conn);
    return -1;
}

/* A callback with a handle and nothing else. */
struct question {
    const char *name;
    int (*callback)(void *handle); /* or NULL */
};
#define QUESTION(name) ((struct question){ #name, plugin_get_table()->name })

/* Asks one question. Returns the callback's answer, or `fallback` without a callback. */
static int ask(struct conn *conn, struct question question, int fallback)
{
    if (!question.callback)
        return fallback;
    if (begin(conn) < 0)
        return -1;
    CRASH_NOTE(question.name);
    int answer = question.callback(conn->export.handle);
    if (answer < 0)
        plugin_hint_at_silence();
    plugin_leave(conn);
    return answer;
}

/* Asks a yes-or-no question. Returns 0 with the answer in *yes, or -1. */
static int ask_bool(struct conn *conn, struct question question, int fallback, bool *yes)
{
    int answer = ask(conn, question, fallback);

    *yes = answer > 0;
    return answer < 0 ? -1 : 0;
}

/* Reads of so many bytes are worth looking for holes first: in general, and for a slow plugin. */
enum { SPARSE_READ_BYTES = 64 * 1024, SPARSE_READ_COSTLY_BYTES = 1024 * 1024 };

/*
 * Plugins of nbdkit 1.32 that can crash when they are asked for a map of less
 * than the whole disk, which clients seldom do, and reads would.
 */
static bool has_fragile_extents(void)
{
    static const char *const names[] = { "data", "memory", "split" };
    const char *version = plugin_get_table()->version;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(plugin_get_name(), names[i]) == 0)
            return version && strncmp(version, "1.", 2) == 0;
    return false;
}

static uint32_t choose_sparse_minimum(int answer)
{
    if (has_fragile_extents())
        return UINT32_MAX;
    return answer == 2 ? SPARSE_READ_COSTLY_BYTES : SPARSE_READ_BYTES;
}

/* A boolean, to plugins; but one that answers 2 says that it is slow, too. */
static int ask_extents(struct conn *conn)
{
    const struct nbdkit_plugin *table = plugin_get_table();
    int answer = ask(conn, QUESTION(can_extents), table->extents != NULL);

    conn->export.can_extents = answer > 0 && table->extents;
    conn->export.sparse_minimum = choose_sparse_minimum(answer);
    return answer < 0 ? -1 : 0;
}

/* Asks a question with the answers 0 (none), 1 (emulate), 2 (native). */
static int ask_degree(struct conn *conn, struct question question, int fallback, int *degree)
{
    *degree = ask(conn, question, fallback);
    if (*degree >= 0 && *degree <= 2)
        return 0;
    if (*degree > 2)
        nbdkit_error("plugin %s: %s returned %d, not one of the constants", plugin_get_name(),
                     question.name, *degree);
    return -1;
}

static int ask_size(struct conn *conn)
{
    if (begin(conn) < 0)
        return -1;
    int64_t size = PLUGIN_CALL(get_size)(conn->export.handle);
    if (size == -1)
        plugin_hint_at_silence();
    plugin_leave(conn);

    if (size < -1)
        nbdkit_error("plugin %s: get_size returned %" PRId64 ", but a size cannot be negative",
                     plugin_get_name(), size);
    conn->export.size_bytes = (uint64_t)size;
    return size < 0 ? -1 : 0;
}

static bool is_power_of_two(uint32_t value)
{
    return value && (value & (value - 1)) == 0;
}

/* The rules of proto.md, "Block size constraints". */
static const char *find_block_size_fault(const struct conn_export *export)
{
    if (!is_power_of_two(export->block_minimum) || export->block_minimum > 65536)
        return "the minimum must be a power of 2 from 1 to 65536";
    if (!is_power_of_two(export->block_preferred) || export->block_preferred < 512)
        return "the preferred size must be a power of 2 of at least 512";
    if (export->block_minimum > export->block_preferred)
        return "the minimum is larger than the preferred size";
    if (export->block_preferred > export->block_maximum)
        return "the preferred size is larger than the maximum";
    if (export->block_maximum != UINT32_MAX && export->block_maximum % export->block_minimum)
        return "the maximum must be a multiple of the minimum, or 0xffffffff";
    return NULL;
}

/* The plugin's maximum, if it names one, as far as a connection can have so much memory. */
static uint32_t find_call_max(const struct conn_export *export)
{
    uint64_t share = budget_get_share();

    if (export->block_minimum == 0 || export->block_maximum == UINT32_MAX)
        return EXPORT_PAYLOAD_DEFAULT;
    return export->block_maximum <= share ? export->block_maximum
                                          : (uint32_t)(share - share % export->block_minimum);
}

/* Some clients heed no smaller maximum than servers usually have. */
static uint32_t find_payload_max(const struct conn_export *export)
{
    return export->call_max > EXPORT_PAYLOAD_DEFAULT ? export->call_max : EXPORT_PAYLOAD_DEFAULT;
}

static int ask_block_size(struct conn *conn)
{
    const struct nbdkit_plugin *table = plugin_get_table();
    struct conn_export *export = &conn->export;

    if (!table->block_size)
        return 0;
    if (begin(conn) < 0)
        return -1;
    int result = PLUGIN_CALL(block_size)(export->handle, &export->block_minimum,
                                         &export->block_preferred, &export->block_maximum);
    if (result < 0)
        plugin_hint_at_silence();
    plugin_leave(conn);
    if (result < 0)
        return -1;
    if (!export->block_minimum && !export->block_preferred && !export->block_maximum)
        return 0;
    const char *fault = find_block_size_fault(export);
    if (!fault)
        return 0;
    nbdkit_error("plugin %s: block_size: %s (minimum %" PRIu32 ", preferred %" PRIu32
                 ", maximum %" PRIu32 ")",
                 plugin_get_name(), fault, export->block_minimum, export->block_preferred,
                 export->block_maximum);
    return -1;
}

/* What lies behind the last whole block is out of reach: each request is of whole blocks. */
static void hint_at_rest(const struct conn_export *export)
{
    static atomic_flag is_given = ATOMIC_FLAG_INIT;
    uint64_t rest = export->block_minimum ? export->size_bytes % export->block_minimum : 0;

    if (rest && !atomic_flag_test_and_set(&is_given))
        log_warning("plugin %s: the size, %" PRIu64 " bytes, is no multiple of the minimum block "
                    "size, %" PRIu32 ": no client can reach the last %" PRIu64 " byte%s",
                    plugin_get_name(), export->size_bytes, export->block_minimum, rest,
                    rest == 1 ? "" : "s");
}

static int ask_about_writing(struct conn *conn)
{
    const struct nbdkit_plugin *table = plugin_get_table();
    struct conn_export *export = &conn->export;
    int fua = table->flush ? NBDKIT_FUA_EMULATE : NBDKIT_FUA_NONE;

    if (ask_bool(conn, QUESTION(can_trim), table->trim != NULL, &export->can_trim) < 0 ||
        ask_bool(conn, QUESTION(can_zero), table->zero != NULL, &export->can_zero) < 0 ||
        ask_degree(conn, QUESTION(can_fua), fua, &export->can_fua) < 0)
        return -1;
    export->can_trim = export->can_trim && table->trim;
    export->can_zero = export->can_zero && table->zero;
    if (export->can_fua == NBDKIT_FUA_EMULATE && !table->flush)
        export->can_fua = NBDKIT_FUA_NONE;
    /* Without `zero` of API version 2, every fast zero fails, and that is fast. */
    bool fails_fast = !export->can_zero || plugin_get_api_version() == 1;
    return ask_bool(conn, QUESTION(can_fast_zero), fails_fast, &export->can_fast_zero);
}

static int ask_everything(struct conn *conn)
{
    const struct nbdkit_plugin *table = plugin_get_table();
    struct conn_export *export = &conn->export;
    int cache = table->cache ? NBDKIT_CACHE_NATIVE : NBDKIT_CACHE_NONE;

    if (ask_size(conn) < 0 || ask_block_size(conn) < 0)
        return -1;
    hint_at_rest(export);
    export->call_max = find_call_max(export);
    export->payload_max = find_payload_max(export);
    if (!conn->policy->is_readonly &&
        ask_bool(conn, QUESTION(can_write), table->pwrite != NULL, &export->can_write) < 0)
        return -1;
    export->can_write = export->can_write && table->pwrite;
    if (export->can_write && ask_about_writing(conn) < 0)
        return -1;
    if (ask_bool(conn, QUESTION(can_flush), table->flush != NULL, &export->can_flush) < 0 ||
        ask_bool(conn, QUESTION(is_rotational), 0, &export->is_rotational) < 0 ||
        ask_extents(conn) < 0 ||
        ask_degree(conn, QUESTION(can_cache), cache, &export->can_cache) < 0 ||
        ask_bool(conn, QUESTION(can_multi_conn), 0, &export->can_multi_conn) < 0)
        return -1;
    /* The second connection would wait for the first one to end. */
    if (plugin_get_thread_model() == NBDKIT_THREAD_MODEL_SERIALIZE_CONNECTIONS ||
        conn->policy->connections_max == 1)
        export->can_multi_conn = false;
    export->can_flush = export->can_flush && table->flush;
    return 0;
}

const char *export_get_default_name(struct conn *conn)
{
    const struct nbdkit_plugin *table = plugin_get_table();

    if (!table->default_export)
        return "";
    if (conn->default_name)
        return conn->default_name;
    if (begin(conn) < 0)
        return NULL;
    const char *name = PLUGIN_CALL(default_export)(conn->policy->is_readonly, is_tls(conn));
    plugin_leave(conn);
    if (name && exports_is_valid_string(name))
        conn->default_name = strdup(name);
    return conn->default_name;
}

void export_forget_default_name(struct conn *conn)
{
    free(conn->default_name);
    conn->default_name = NULL;
}

static int call_open(struct conn *conn, const char *name)
{
    char quoted[LOG_QUOTED_MAX];
    const char *real_name = *name ? name : export_get_default_name(conn);

    if (!real_name) {
        /* What the plugin has said of it is worth more to the client. */
        (*api_log_get_text() ? log_error : nbdkit_error)(
            "plugin %s has no default export: the client must name one", plugin_get_name());
        return -1;
    }
    conn->export.requested_name = strdup(name);
    conn->export.name = strdup(real_name);
    conn->export.lent_name = strdup(real_name);
    if (!conn->export.requested_name || !conn->export.name || !conn->export.lent_name) {
        nbdkit_error("cannot open an export: %m");
        return -1;
    }
    if (begin(conn) < 0)
        return -1;
    conn->export.handle = PLUGIN_CALL(open)(conn->policy->is_readonly);
    if (!conn->export.handle)
        plugin_hint_at_silence();
    plugin_leave(conn);
    DEBUG_LOG(DEBUG_CONTROLPATH, "open export %s: %s", log_quote(quoted, conn->export.name),
              conn->export.handle ? "ok" : "failed");
    return conn->export.handle ? 0 : -1;
}

static void forget_export(struct conn *conn)
{
    free(conn->export.requested_name);
    free(conn->export.name);
    free(conn->export.lent_name);
    memset(&conn->export, 0, sizeof conn->export);
}

/* Notes what the callback that has just failed said of it. */
static void note_refusal(struct export_refusal *refusal)
{
    refusal->error = plugin_take_error();
    snprintf(refusal->text, sizeof refusal->text, "%s", api_log_get_text());
}

int export_open(struct conn *conn, const char *name, struct export_refusal *refusal)
{
    if (conn->export.handle && strcmp(conn->export.requested_name, name) == 0)
        return 0;
    export_close(conn);
    if (call_open(conn, name) < 0) {
        note_refusal(refusal);
        forget_export(conn);
        return -1;
    }
    if (ask_everything(conn) < 0) {
        note_refusal(refusal);
        export_close(conn);
        return -1;
    }
    return 0;
}

void export_close(struct conn *conn)
{
    const struct nbdkit_plugin *table = plugin_get_table();

    if (!conn->export.handle)
        return;
    DEBUG_LOG(DEBUG_CONTROLPATH, "close");
    if (table->close) {
        plugin_enter(conn);
        PLUGIN_CALL(close)(conn->export.handle);
        plugin_leave(conn);
    }
    forget_export(conn);
}

uint16_t export_get_flags(const struct conn *conn)
{
    const struct conn_export *export = &conn->export;
    unsigned flags = NBD_FLAG_HAS_FLAGS;

    if (export->can_write)
        flags |= NBD_FLAG_SEND_WRITE_ZEROES;
    else
        flags |= NBD_FLAG_READ_ONLY;
    if (export->can_write && export->can_fast_zero)
        flags |= NBD_FLAG_SEND_FAST_ZERO;
    if (export->can_trim)
        flags |= NBD_FLAG_SEND_TRIM;
    if (export->can_fua != NBDKIT_FUA_NONE)
        flags |= NBD_FLAG_SEND_FUA;
    if (export->can_flush)
        flags |= NBD_FLAG_SEND_FLUSH;
    if (export->is_rotational)
        flags |= NBD_FLAG_ROTATIONAL;
    if (export->can_multi_conn)
        flags |= NBD_FLAG_CAN_MULTI_CONN;
    if (export->can_cache != NBDKIT_CACHE_NONE)
        flags |= NBD_FLAG_SEND_CACHE;
    if (conn->has_structured_replies)
        flags |= NBD_FLAG_SEND_DF;
    if (conn->has_extended_headers && conn_has_meta_context(conn))
        flags |= NBD_FLAG_BLOCK_STATUS_PAYLOAD;
    return (uint16_t)flags;
}

const char *export_get_description(struct conn *conn)
{
    const struct nbdkit_plugin *table = plugin_get_table();

    if (!table->export_description || begin(conn) < 0)
        return NULL;
    const char *description = PLUGIN_CALL(export_description)(conn->export.handle);
    plugin_leave(conn);
    return description && exports_is_valid_string(description) ? description : NULL;
}

/* Calls the plugin's `list_exports`. Returns 0 or -1. */
static int call_list(struct conn *conn, struct nbdkit_exports *exports)
{
    const struct nbdkit_plugin *table = plugin_get_table();

    if (!table->list_exports)
        return nbdkit_use_default_export(exports);
    if (begin(conn) < 0)
        return -1;
    int result = PLUGIN_CALL(list_exports)(conn->policy->is_readonly, is_tls(conn), exports);
    if (result < 0)
        plugin_hint_at_silence();
    plugin_leave(conn);
    return result < 0 ? -1 : 0;
}

int export_list(struct conn *conn, struct nbdkit_exports *exports, struct export_refusal *refusal)
{
    if (call_list(conn, exports) < 0) {
        note_refusal(refusal);
        return -1;
    }
    const char *name = exports_wants_default(exports) ? export_get_default_name(conn) : NULL;
    return name ? nbdkit_add_export(exports, name, NULL) : 0;
}
