/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Asks the server about the client in every callback and in a thread of its own, and writes to
 * log=FILE what it learned: "PHASE: export X; tls X; peer X; pid X; uid X; gid X; dn X; issuer X",
 * where X may be the name of an errno. (An empty name is written as "".)
 *
 * Each callback also interns a string, long after it has changed the one that it was copied from;
 * close and unload look at all that should still be there. intern=BYTES makes open intern one of
 * that length, too. stdio=1 and sleep=SEC,NSEC call the functions of these names in config.
 */
#include "record.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

enum { KEPT_MAX = 64 };

/* Interned strings: they read "kept PHASE NUMBER". */
struct kept {
    const char *strings[KEPT_MAX];
    char phases[KEPT_MAX][24];
    int count;
};

static struct kept global_strings;
static _Thread_local struct kept *handshake_strings; /* up to open, which puts them in the handle */
static size_t intern_bytes;
static pthread_t thread;

/* Some names of errno are longer than others. */
struct answer {
    char text[128];
};

static const char *name_errno(struct answer *answer)
{
    const char *name = strerrorname_np(errno);

    snprintf(answer->text, sizeof answer->text, "%s", name ? name : "no errno");
    return answer->text;
}

static const char *say_number(struct answer *answer, int64_t number)
{
    if (number == -1)
        return name_errno(answer);
    snprintf(answer->text, sizeof answer->text, "%" PRId64, number);
    return answer->text;
}

static const char *say_string(struct answer *answer, const char *string)
{
    if (!string)
        return name_errno(answer);
    snprintf(answer->text, sizeof answer->text, "%s", *string ? string : "\"\"");
    return answer->text;
}

static const char *say_freed(struct answer *answer, char *string)
{
    say_string(answer, string);
    free(string);
    return answer->text;
}

static const char *say_peer(struct answer *answer)
{
    struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
    socklen_t length = sizeof address;
    char host[INET6_ADDRSTRLEN] = "";

    errno = 0;
    if (nbdkit_peer_name((struct sockaddr *)&address, &length) == -1)
        return name_errno(answer);
    if (address.ss_family == AF_INET)
        inet_ntop(AF_INET, &((struct sockaddr_in *)&address)->sin_addr, host, sizeof host);
    else if (address.ss_family == AF_INET6)
        inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&address)->sin6_addr, host, sizeof host);
    snprintf(answer->text, sizeof answer->text, "%s%s",
             address.ss_family == AF_UNIX    ? "unix"
             : address.ss_family == AF_INET  ? "ip4 "
             : address.ss_family == AF_INET6 ? "ip6 "
                                             : "unknown",
             host);
    return answer->text;
}

/* The errno of each call is its own, and 0 before. */
#define ASK(topic, sayer, question)                                                                \
    errno = 0;                                                                                     \
    used += snprintf(line + used, sizeof line - (size_t)used, topic " %s; ",                       \
                     sayer(&answer, question));

static void tell(const char *phase)
{
    struct answer answer;
    char line[sizeof answer * 8];
    int used = 0;

    if (record_fd < 0)
        return;
    ASK("export", say_string, nbdkit_export_name())
    ASK("tls", say_number, nbdkit_is_tls())
    used += snprintf(line + used, sizeof line - (size_t)used, "peer %s; ", say_peer(&answer));
    ASK("pid", say_number, nbdkit_peer_pid())
    ASK("uid", say_number, nbdkit_peer_uid())
    ASK("gid", say_number, nbdkit_peer_gid())
    ASK("dn", say_freed, nbdkit_peer_tls_dn())
    ASK("issuer", say_freed, nbdkit_peer_tls_issuer_dn())
    RECORD("%s: %.*s\n", phase, used - 2, line);
}

static void intern_in(struct kept *kept, const char *phase)
{
    char text[64];

    for (int variant = 0; variant < 3 && kept->count < KEPT_MAX; variant++) {
        int i = kept->count++;
        snprintf(kept->phases[i], sizeof kept->phases[i], "%s", phase);
        snprintf(text, sizeof text, "kept %s %d%s", phase, i, variant == 1 ? "cut off" : "");
        kept->strings[i] = variant == 0   ? nbdkit_strdup_intern(text)
                           : variant == 1 ? nbdkit_strndup_intern(text, strlen(text) - 7)
                                          : nbdkit_printf_intern("kept %s %d", phase, i);
        memset(text, 'x', sizeof text);
    }
}

static int count_intact(const struct kept *kept)
{
    char text[64];
    int intact = 0;

    for (int i = 0; i < kept->count; i++) {
        snprintf(text, sizeof text, "kept %s %d", kept->phases[i], i);
        intact += kept->strings[i] && strcmp(kept->strings[i], text) == 0;
    }
    return intact;
}

/* In a callback that has no handle yet. */
static void intern_early(const char *phase)
{
    if (!handshake_strings)
        handshake_strings = calloc(1, sizeof *handshake_strings);
    intern_in(handshake_strings, phase);
}

static void try_sleep(const char *value)
{
    unsigned sec;
    unsigned nsec;

    if (sscanf(value, "%u,%u", &sec, &nsec) != 2)
        return;
    errno = 0;
    int result = nbdkit_nanosleep(sec, nsec);
    printf("sleep %s: %d %s\n", value, result, result == 0 ? "" : strerrorname_np(errno));
}

static int phases_config(const char *key, const char *value)
{
    if (strcmp(key, "sleep") == 0) {
        try_sleep(value);
        return 0;
    }
    if (strcmp(key, "intern") == 0) {
        intern_bytes = (size_t)nbdkit_parse_size(value);
        return 0;
    }
    if (strcmp(key, "stdio") == 0) {
        RECORD("stdio_safe %d\n", nbdkit_stdio_safe());
        return 0;
    }
    int result = record_set_parameter(key, value);
    tell("config");
    intern_in(&global_strings, "config");
    return result == 1 ? 0 : -1;
}

static int phases_config_complete(void)
{
    tell("config_complete");
    return 0;
}

static int phases_get_ready(void)
{
    tell("get_ready");
    intern_in(&global_strings, "get_ready");
    return 0;
}

static void *run_thread(void *argument)
{
    (void)argument;
    tell("thread");
    intern_in(&global_strings, "thread");
    int result = nbdkit_nanosleep(1000, 0);
    RECORD("thread: sleep %d %s\n", result, strerrorname_np(errno));
    return NULL;
}

static int phases_after_fork(void)
{
    tell("after_fork");
    return pthread_create(&thread, NULL, run_thread, NULL) == 0 ? 0 : -1;
}

static int phases_preconnect(int readonly)
{
    (void)readonly;
    tell("preconnect");
    intern_early("preconnect");
    return 0;
}

static int phases_list_exports(int readonly, int is_tls, struct nbdkit_exports *exports)
{
    (void)readonly;
    (void)is_tls;
    tell("list_exports");
    return nbdkit_add_export(exports, nbdkit_strdup_intern("listed"), NULL);
}

static const char *phases_default_export(int readonly, int is_tls)
{
    (void)readonly;
    (void)is_tls;
    tell("default_export");
    intern_early("default_export");
    return nbdkit_printf_intern("the %s", "default");
}

static void *phases_open(int readonly)
{
    (void)readonly;
    tell("open");
    intern_early("open");
    if (intern_bytes) {
        char *filler = malloc(intern_bytes);
        memset(filler, 'f', intern_bytes);
        nbdkit_strndup_intern(filler, intern_bytes);
        free(filler);
    }
    void *handle = handshake_strings;
    handshake_strings = NULL;
    return handle;
}

static int64_t phases_get_size(void *handle)
{
    (void)handle;
    tell("get_size");
    return RECORD_BYTES;
}

static int phases_pread(void *handle, void *buffer, uint32_t count, uint64_t offset, uint32_t flags)
{
    (void)offset;
    (void)flags;
    tell("pread");
    if (offset == 0)
        intern_in(handle, "pread");
    memset(buffer, 0, count);
    return 0;
}

static void phases_close(void *handle)
{
    struct kept *kept = handle;

    tell("close");
    intern_in(kept, "close");
    RECORD("close: %d of %d strings are intact\n", count_intact(kept), kept->count);
    free(kept);
}

static void phases_cleanup(void)
{
    tell("cleanup");
    pthread_join(thread, NULL);
}

static void phases_unload(void)
{
    tell("unload");
    intern_in(&global_strings, "unload");
    if (record_fd >= 0)
        RECORD("unload: %d of %d strings are intact\n", count_intact(&global_strings),
               global_strings.count);
}

static struct nbdkit_plugin plugin = {
    .name = "phases",
    .config = phases_config,
    .config_complete = phases_config_complete,
    .get_ready = phases_get_ready,
    .after_fork = phases_after_fork,
    .preconnect = phases_preconnect,
    .list_exports = phases_list_exports,
    .default_export = phases_default_export,
    .open = phases_open,
    .get_size = phases_get_size,
    .pread = phases_pread,
    .close = phases_close,
    .cleanup = phases_cleanup,
    .unload = phases_unload,
};

NBDKIT_REGISTER_PLUGIN(plugin)
