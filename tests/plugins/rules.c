/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The disks of tests/rules.py: an export's name says what its disk is like, so that one server has
 * all of them. A name is a list of these words, with commas between them:
 *   size=SIZE        1M if not said; what lies beyond 1 MiB reads as zeroes
 *   block=A:B:C      minimum, preferred and maximum block size
 *   no=FEATURE       without write, flush, trim, zero, fast, extents, cache or multi; or fua
 *   rotational       what it says
 *   emulate          FUA is for the server to do
 *   slow             a fast zero fails; lame: every zero fails with ENOTSUP
 *   error=NUMBER     reads, writes and all others fail with this errno
 *   badflush         a flush fails with EIO
 *   map=SIZE         extents of this size: data, hole that is zero, zero, hole, and so on
 *   short            extents are told one at a time
 *   far              an extent is told to the end of the disk
 *   gate             a read at 64 KiB waits for a write there, of whichever connection, or for a
 *                    file of the log's name with .open behind it
 *   tag=WORD         calls are recorded with this word before them
 *   name=ANYTHING    nothing; takes the rest of the name
 * Parameter: log=FILE, for what is recorded.
 */
#include "record.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

enum { GATE_OFFSET = 64 << 10, GATE_WAIT_MS = 30000 };

static pthread_mutex_t disk_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned gate_tokens; /* under disk_lock */
static char gate_path[PATH_MAX];

struct disk {
    int64_t size;
    int64_t map;
    uint32_t minimum, preferred, maximum;
    int error;
    bool lacks_write, lacks_flush, lacks_trim, lacks_zero, lacks_fast, lacks_extents;
    bool lacks_cache, lacks_multi, lacks_fua;
    bool is_rotational, is_emulating, is_slow, is_lame, is_short, is_far, is_gated, has_bad_flush;
    char tag[64];
};

/* A word that is said or not. */
static bool *find_switch(struct disk *disk, const char *word)
{
    const struct {
        const char *word;
        bool *where;
    } switches[] = {
        { "no=write", &disk->lacks_write },
        { "no=flush", &disk->lacks_flush },
        { "no=trim", &disk->lacks_trim },
        { "no=zero", &disk->lacks_zero },
        { "no=fast", &disk->lacks_fast },
        { "no=extents", &disk->lacks_extents },
        { "no=cache", &disk->lacks_cache },
        { "no=multi", &disk->lacks_multi },
        { "no=fua", &disk->lacks_fua },
        { "rotational", &disk->is_rotational },
        { "emulate", &disk->is_emulating },
        { "slow", &disk->is_slow },
        { "lame", &disk->is_lame },
        { "short", &disk->is_short },
        { "far", &disk->is_far },
        { "gate", &disk->is_gated },
        { "badflush", &disk->has_bad_flush },
    };

    for (size_t i = 0; i < sizeof switches / sizeof switches[0]; i++)
        if (strcmp(word, switches[i].word) == 0)
            return switches[i].where;
    return NULL;
}

static int read_word(struct disk *disk, const char *word)
{
    bool *is_said = find_switch(disk, word);

    if (is_said)
        *is_said = true;
    else if (strncmp(word, "size=", 5) == 0)
        disk->size = nbdkit_parse_size(word + 5);
    else if (strncmp(word, "map=", 4) == 0)
        disk->map = nbdkit_parse_size(word + 4);
    else if (strncmp(word, "error=", 6) == 0)
        disk->error = atoi(word + 6);
    else if (strncmp(word, "tag=", 4) == 0)
        snprintf(disk->tag, sizeof disk->tag, "%s", word + 4);
    else if (sscanf(word, "block=%" SCNu32 ":%" SCNu32 ":%" SCNu32, &disk->minimum,
                    &disk->preferred, &disk->maximum) != 3)
        return -1;
    return 0;
}

static int read_name(struct disk *disk, const char *name)
{
    while (*name && strncmp(name, "name=", 5) != 0) {
        char word[64];
        size_t length = strcspn(name, ",");
        if (length >= sizeof word)
            return -1;
        memcpy(word, name, length);
        word[length] = '\0';
        if (read_word(disk, word) == -1)
            return -1;
        name += length;
        name += *name == ',';
    }
    return 0;
}

static int rules_config(const char *key, const char *value)
{
    snprintf(gate_path, sizeof gate_path, "%s.open", value);
    return record_set_parameter(key, value) == 1 ? 0 : -1;
}

static int rules_list_exports(int readonly, int is_tls, struct nbdkit_exports *exports)
{
    (void)readonly;
    (void)is_tls;
    if (nbdkit_add_export(exports, "name=first", "the first disk") == -1)
        return -1;
    return nbdkit_add_export(exports, "name=second", NULL);
}

static const char *rules_default_export(int readonly, int is_tls)
{
    (void)readonly;
    (void)is_tls;
    return "name=first";
}

static void *rules_open(int readonly)
{
    struct disk *disk = calloc(1, sizeof *disk);

    (void)readonly;
    if (!disk)
        return NULL;
    disk->size = RECORD_BYTES;
    if (read_name(disk, nbdkit_export_name()) == 0)
        return disk;
    nbdkit_error("there is no such disk");
    free(disk);
    return NULL;
}

static void rules_close(void *handle)
{
    const struct disk *disk = handle;

    if (disk->tag[0])
        RECORD("%s close\n", disk->tag);
    free(handle);
}

static const char *rules_export_description(void *handle)
{
    (void)handle;
    return "the first disk";
}

static int64_t rules_get_size(void *handle)
{
    return ((const struct disk *)handle)->size;
}

static int rules_block_size(void *handle, uint32_t *minimum, uint32_t *preferred, uint32_t *maximum)
{
    const struct disk *disk = handle;

    *minimum = disk->minimum;
    *preferred = disk->preferred;
    *maximum = disk->maximum;
    return 0;
}

static int rules_can_write(void *handle)
{
    return !((const struct disk *)handle)->lacks_write;
}

static int rules_can_flush(void *handle)
{
    return !((const struct disk *)handle)->lacks_flush;
}

static int rules_can_trim(void *handle)
{
    return !((const struct disk *)handle)->lacks_trim;
}

static int rules_can_zero(void *handle)
{
    return !((const struct disk *)handle)->lacks_zero;
}

static int rules_can_fast_zero(void *handle)
{
    return !((const struct disk *)handle)->lacks_fast;
}

static int rules_can_extents(void *handle)
{
    return !((const struct disk *)handle)->lacks_extents;
}

static int rules_can_multi_conn(void *handle)
{
    return !((const struct disk *)handle)->lacks_multi;
}

static int rules_is_rotational(void *handle)
{
    return ((const struct disk *)handle)->is_rotational;
}

static int rules_can_cache(void *handle)
{
    return ((const struct disk *)handle)->lacks_cache ? NBDKIT_CACHE_NONE : NBDKIT_CACHE_NATIVE;
}

static int rules_can_fua(void *handle)
{
    const struct disk *disk = handle;

    if (disk->lacks_fua)
        return NBDKIT_FUA_NONE;
    return disk->is_emulating ? NBDKIT_FUA_EMULATE : NBDKIT_FUA_NATIVE;
}

static int fail(int error)
{
    nbdkit_error("told to fail with errno %d", error);
    errno = error;
    return -1;
}

/* Records a call. Returns 0, or -1 where the disk is one that fails. */
static int begin(const struct disk *disk, const char *what, uint64_t count, uint64_t offset,
                 uint32_t flags)
{
    if (disk->tag[0])
        RECORD("%s %s %" PRIu64 " %" PRIu64 "%s\n", disk->tag, what, count, offset,
               record_name_flags(flags));
    return disk->error ? fail(disk->error) : 0;
}

static uint32_t get_type(const struct disk *disk, uint64_t offset)
{
    static const uint32_t types[] = { 0, NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO,
                                      NBDKIT_EXTENT_ZERO, NBDKIT_EXTENT_HOLE };

    return disk->map ? types[offset / (uint64_t)disk->map % 4] : 0;
}

/* The bytes at offset and after it, as far as they are in memory. */
static size_t get_bytes_in_memory(uint64_t count, uint64_t offset)
{
    if (offset >= RECORD_BYTES)
        return 0;
    return count < RECORD_BYTES - offset ? count : RECORD_BYTES - offset;
}

static void fill(uint64_t count, uint64_t offset, const void *data)
{
    size_t length = get_bytes_in_memory(count, offset);

    pthread_mutex_lock(&disk_lock);
    if (data)
        memcpy(record_disk + offset, data, length);
    else if (length)
        memset(record_disk + offset, 0, length);
    pthread_mutex_unlock(&disk_lock);
}

static void open_gate(void)
{
    pthread_mutex_lock(&disk_lock);
    gate_tokens++;
    pthread_mutex_unlock(&disk_lock);
}

static bool is_open(void)
{
    pthread_mutex_lock(&disk_lock);
    bool has_token = gate_tokens > 0;
    gate_tokens -= has_token;
    pthread_mutex_unlock(&disk_lock);
    return has_token || access(gate_path, F_OK) == 0;
}

static int pass_gate(void)
{
    const struct timespec step = { .tv_nsec = 1000000 };

    for (int waited_ms = 0; !is_open(); waited_ms++) {
        if (waited_ms == GATE_WAIT_MS)
            return fail(ETIMEDOUT);
        nanosleep(&step, NULL);
    }
    return 0;
}

static int rules_pread(void *handle, void *buffer, uint32_t count, uint64_t offset, uint32_t flags)
{
    const struct disk *disk = handle;
    char *bytes = buffer;

    if (begin(disk, "read", count, offset, flags) == -1)
        return -1;
    if (disk->is_gated && offset == GATE_OFFSET && pass_gate() == -1)
        return -1;
    size_t length = get_bytes_in_memory(count, offset);
    pthread_mutex_lock(&disk_lock);
    if (length)
        memcpy(bytes, record_disk + offset, length);
    pthread_mutex_unlock(&disk_lock);
    memset(bytes + length, 0, count - length);
    for (uint32_t i = 0; disk->map && i < count; i++)
        if (get_type(disk, offset + i) & NBDKIT_EXTENT_ZERO)
            bytes[i] = 0;
    return 0;
}

static int rules_pwrite(void *handle, const void *buffer, uint32_t count, uint64_t offset,
                        uint32_t flags)
{
    const struct disk *disk = handle;

    if (begin(disk, "write", count, offset, flags) == -1)
        return -1;
    fill(count, offset, buffer);
    if (disk->is_gated && offset == GATE_OFFSET)
        open_gate();
    return 0;
}

static int rules_flush(void *handle, uint32_t flags)
{
    const struct disk *disk = handle;

    if (begin(disk, "flush", 0, 0, flags) == -1)
        return -1;
    return disk->has_bad_flush ? fail(EIO) : 0;
}

static int rules_trim(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    return begin(handle, "trim", count, offset, flags);
}

static int rules_zero(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    const struct disk *disk = handle;

    if (begin(disk, "zero", count, offset, flags) == -1)
        return -1;
    if (disk->is_lame || (disk->is_slow && flags & NBDKIT_FLAG_FAST_ZERO))
        return fail(ENOTSUP);
    fill(count, offset, NULL);
    return 0;
}

static int rules_cache(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    return begin(handle, "cache", count, offset, flags);
}

static int rules_extents(void *handle, uint32_t count, uint64_t offset, uint32_t flags,
                         struct nbdkit_extents *extents)
{
    const struct disk *disk = handle;
    uint64_t size = (uint64_t)disk->size, end = disk->is_far ? size : offset + count;

    if (begin(disk, "extents", count, offset, flags) == -1)
        return -1;
    while (offset < end) {
        uint64_t next =
            disk->map ? offset - offset % (uint64_t)disk->map + (uint64_t)disk->map : size;
        if (next > size)
            next = size;
        if (nbdkit_add_extent(extents, offset, next - offset, get_type(disk, offset)) == -1)
            return -1;
        offset = next;
        if (disk->is_short)
            break;
    }
    return 0;
}

static struct nbdkit_plugin plugin = {
    .name = "rules",
    .config = rules_config,
    .list_exports = rules_list_exports,
    .default_export = rules_default_export,
    .open = rules_open,
    .close = rules_close,
    .export_description = rules_export_description,
    .get_size = rules_get_size,
    .block_size = rules_block_size,
    .can_write = rules_can_write,
    .can_flush = rules_can_flush,
    .is_rotational = rules_is_rotational,
    .can_trim = rules_can_trim,
    .can_zero = rules_can_zero,
    .can_fast_zero = rules_can_fast_zero,
    .can_extents = rules_can_extents,
    .can_fua = rules_can_fua,
    .can_multi_conn = rules_can_multi_conn,
    .can_cache = rules_can_cache,
    .pread = rules_pread,
    .pwrite = rules_pwrite,
    .flush = rules_flush,
    .trim = rules_trim,
    .zero = rules_zero,
    .cache = rules_cache,
    .extents = rules_extents,
    .errno_is_preserved = 1,
};

NBDKIT_REGISTER_PLUGIN(plugin)
