/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A plugin that has, beside what all must have, those callbacks that the environment says when it
 * is loaded, so that each of the server's defaults can be seen: PARTIAL is a list of words, such as
 * "pwrite can_fua=2 errno", where an answer of 9 is a failure. Every call that is not a question is
 * recorded.
 */
#include "record.h"

#include <stdlib.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

#define ANSWER(name, value)                                                                        \
    static int name(void *handle)                                                                  \
    {                                                                                              \
        (void)handle;                                                                              \
        return value;                                                                              \
    }

ANSWER(no, 0)
ANSWER(yes, 1)
ANSWER(two, 2)
ANSWER(three, 3)
ANSWER(failing, -1)

static int partial_config(const char *key, const char *value)
{
    return record_set_parameter(key, value) == 1 ? 0 : -1;
}

static void *partial_open(int readonly)
{
    RECORD("open %d\n", readonly);
    return NBDKIT_HANDLE_NOT_NEEDED;
}

static int64_t partial_get_size(void *handle)
{
    (void)handle;
    return RECORD_BYTES;
}

/* Fails in the second half of the disk's first 64 KiB, with an errno that counts if it is kept. */
static int finish(uint64_t offset)
{
    errno = ENOSPC;
    return offset >= 32768 && offset < 65536 ? -1 : 0;
}

static int partial_pread(void *handle, void *buffer, uint32_t count, uint64_t offset,
                         uint32_t flags)
{
    (void)handle;
    RECORD("pread %u %ju%s\n", count, (uintmax_t)offset, record_name_flags(flags));
    memcpy(buffer, record_disk + offset, count);
    return 0;
}

static int partial_pwrite(void *handle, const void *buffer, uint32_t count, uint64_t offset,
                          uint32_t flags)
{
    (void)handle;
    RECORD("pwrite %u %ju%s\n", count, (uintmax_t)offset, record_name_flags(flags));
    memcpy(record_disk + offset, buffer, count);
    return finish(offset);
}

static int partial_flush(void *handle, uint32_t flags)
{
    (void)handle;
    RECORD("flush%s\n", record_name_flags(flags));
    return 0;
}

/* For trim, zero and cache. */
static int partial_change(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    (void)handle;
    RECORD("change %u %ju%s\n", count, (uintmax_t)offset, record_name_flags(flags));
    return finish(offset);
}

/* A zero that leaves the work to pwrite. */
static int partial_decline(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    partial_change(handle, count, offset, flags);
    errno = EOPNOTSUPP;
    return -1;
}

static int partial_extents(void *handle, uint32_t count, uint64_t offset, uint32_t flags,
                           struct nbdkit_extents *extents)
{
    (void)handle;
    RECORD("extents %u %ju%s\n", count, (uintmax_t)offset, record_name_flags(flags));
    if (nbdkit_add_extent(extents, 0, RECORD_BYTES / 2, 0) < 0)
        return -1;
    return nbdkit_add_extent(extents, RECORD_BYTES / 2, RECORD_BYTES / 2,
                             NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO);
}

static int partial_block_size(void *handle, uint32_t *minimum, uint32_t *preferred,
                              uint32_t *maximum)
{
    (void)handle;
    *minimum = 1;
    *preferred = 8192;
    *maximum = 1 << 20;
    return 0;
}

static int partial_list_exports(int readonly, int is_tls, struct nbdkit_exports *exports)
{
    RECORD("list_exports %d %d\n", readonly, is_tls);
    return nbdkit_add_export(exports, "only", "the only one");
}

static const char *partial_default_export(int readonly, int is_tls)
{
    RECORD("default_export %d %d\n", readonly, is_tls);
    return "usual";
}

static const char *partial_no_default(int readonly, int is_tls)
{
    RECORD("no_default %d %d\n", readonly, is_tls);
    return NULL;
}

static const char *partial_describe(void *handle)
{
    (void)handle;
    return nbdkit_printf_intern("this is '%s'", nbdkit_export_name());
}

static int partial_preconnect(int readonly)
{
    RECORD("preconnect %d\n", readonly);
    return -1;
}

static int partial_model(void)
{
    return NBDKIT_THREAD_MODEL_SERIALIZE_CONNECTIONS;
}

static struct nbdkit_plugin plugin = {
    .name = "partial",
    .config = partial_config,
    .open = partial_open,
    .get_size = partial_get_size,
    .pread = partial_pread,
};

/* Returns what follows the word in the list, or NULL if it is not there. */
static const char *find_word(const char *word)
{
    const char *list = getenv("PARTIAL");
    size_t length = strlen(word);

    while (list && *list) {
        if (strncmp(list, word, length) == 0 &&
            (list[length] == '\0' || strchr(" =", list[length])))
            return list + length;
        list += strcspn(list, " ");
        list += strspn(list, " ");
    }
    return NULL;
}

static int (*find_answer(const char *question))(void *handle)
{
    const char *answer = find_word(question);

    if (!answer)
        return NULL;
    return answer[1] == '0'   ? no
           : answer[1] == '1' ? yes
           : answer[1] == '2' ? two
           : answer[1] == '3' ? three
                              : failing;
}

#define TAKE(word, member, callback)                                                               \
    if (find_word(word))                                                                           \
    plugin.member = callback

#define TAKE_ANSWER(member) plugin.member = find_answer(#member)

static void __attribute__((__constructor__)) choose_members(void)
{
    TAKE("pwrite", pwrite, partial_pwrite);
    TAKE("flush", flush, partial_flush);
    TAKE("trim", trim, partial_change);
    TAKE("zero", zero, partial_change);
    TAKE("decline", zero, partial_decline);
    TAKE("cache", cache, partial_change);
    TAKE("extents", extents, partial_extents);
    TAKE("block_size", block_size, partial_block_size);
    TAKE("list_exports", list_exports, partial_list_exports);
    TAKE("default_export", default_export, partial_default_export);
    TAKE("no_default", default_export, partial_no_default);
    TAKE("export_description", export_description, partial_describe);
    TAKE("preconnect", preconnect, partial_preconnect);
    TAKE("thread_model", thread_model, partial_model);
    TAKE("errno", errno_is_preserved, 1);
    TAKE_ANSWER(can_write);
    TAKE_ANSWER(can_flush);
    TAKE_ANSWER(can_trim);
    TAKE_ANSWER(can_zero);
    TAKE_ANSWER(can_fast_zero);
    TAKE_ANSWER(can_fua);
    TAKE_ANSWER(can_extents);
    TAKE_ANSWER(can_cache);
    TAKE_ANSWER(can_multi_conn);
    TAKE_ANSWER(is_rotational);
}

NBDKIT_REGISTER_PLUGIN(plugin)
