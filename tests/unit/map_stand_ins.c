/* SPDX-License-Identifier: BSD-3-Clause */
/* What test_map.c links in place of files, the script and the server. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "../../plugins/shared/fileio.h"
#include "../../sh-plugin/call.h"
#include "../../sh-plugin/script_io.h"
#include "../../sh-plugin/text.h"
#include "map_stand_ins.h"

char stand_ins_trace[65536];
const char *stand_ins_failing;
int stand_ins_failing_errno;
int stand_ins_plugin_error;
int64_t stand_ins_told = -1;

/* Notes an entry. Returns 0, or -1 with errno if it is to fail. */
__attribute__((format(printf, 1, 2))) static int note(const char *format, ...)
{
    size_t length = strlen(stand_ins_trace);
    va_list args;

    if (length > 0)
        length +=
            (size_t)snprintf(stand_ins_trace + length, sizeof(stand_ins_trace) - length, "; ");
    va_start(args, format);
    vsnprintf(stand_ins_trace + length, sizeof(stand_ins_trace) - length, format, args);
    va_end(args);
    if (stand_ins_failing == NULL ||
        strncmp(stand_ins_trace + length, stand_ins_failing, strlen(stand_ins_failing)) != 0)
        return 0;
    stand_ins_failing = NULL;
    errno = stand_ins_failing_errno;
    return -1;
}

/* The stand-ins for files. */

int fileio_open_file(struct fileio *file, int directory_fd, const char *path,
                     const struct fileio_options *options)
{
    (void)directory_fd;
    *file = (struct fileio){ .file_fd = -1, .name = strdup(path), .size_bytes = 1 << 30 };
    file->can_write = !options->is_readonly;
    return note("open %s%s", path, options->is_readonly ? " readonly" : "");
}

void fileio_close_file(struct fileio *file)
{
    note("close %s", file->name);
    free(file->name);
}

const char *fileio_explain_open(int error)
{
    return strerror(error);
}

int fileio_read_range(struct fileio *file, void *to, uint32_t count, uint64_t offset)
{
    memset(to, file->name[0], count);
    return note("read %s %" PRIu32 "@%" PRIu64, file->name, count, offset);
}

int fileio_write_range(struct fileio *file, const void *from, uint32_t count, uint64_t offset,
                       bool must_sync)
{
    return note("write %s %" PRIu32 "@%" PRIu64 " '%c'%s", file->name, count, offset,
                *(const char *)from == '\0' ? '0' : *(const char *)from, must_sync ? " fua" : "");
}

int fileio_flush_file(struct fileio *file)
{
    return note("flush %s", file->name);
}

int fileio_zero_range(struct fileio *file, uint32_t count, uint64_t offset, bool may_trim,
                      bool must_be_fast)
{
    return note("zero %s %" PRIu32 "@%" PRIu64 "%s%s", file->name, count, offset,
                may_trim ? " may_trim" : "", must_be_fast ? " fast" : "");
}

bool fileio_may_zero_fast(const struct fileio *file, bool may_trim)
{
    return may_trim || strcmp(file->name, "slow") != 0;
}

int fileio_trim_range(struct fileio *file, uint32_t count, uint64_t offset)
{
    return note("trim %s %" PRIu32 "@%" PRIu64, file->name, count, offset);
}

int fileio_cache_range(struct fileio *file, uint32_t count, uint64_t offset)
{
    return note("cache %s %" PRIu32 "@%" PRIu64, file->name, count, offset);
}

bool fileio_can_find_extents(const struct fileio *file)
{
    return strcmp(file->name, "dumb") != 0;
}

/* Data and holes of 100 bytes each. */
int fileio_find_extent(struct fileio *file, uint64_t offset, uint64_t *length, uint32_t *type)
{
    (void)file;
    *length = 100 - offset % 100;
    *type = offset / 100 % 2 == 1 ? NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO : 0;
    return 0;
}

/* Those for the script. */

static int note_script(const char *method, uint32_t count, uint64_t offset, uint32_t flags)
{
    int result =
        note("script %s %" PRIu32 "@%" PRIu64 "%s%s%s%s", method, count, offset,
             flags & NBDKIT_FLAG_FUA ? " fua" : "", flags & NBDKIT_FLAG_MAY_TRIM ? " may_trim" : "",
             flags & NBDKIT_FLAG_FAST_ZERO ? " fast" : "",
             flags & NBDKIT_FLAG_REQ_ONE ? " req_one" : "");

    if (result < 0)
        stand_ins_plugin_error = errno;
    return result;
}

int script_pread(const struct connection *connection, void *to, uint32_t count, uint64_t offset)
{
    (void)connection;
    memset(to, 's', count);
    return note_script("read", count, offset, 0);
}

int script_pwrite(const struct connection *connection, const void *from, uint32_t count,
                  uint64_t offset, uint32_t flags)
{
    (void)connection;
    (void)from;
    return note_script("write", count, offset, flags);
}

int script_flush(const struct connection *connection)
{
    (void)connection;
    return note("script flush");
}

int script_trim(const struct connection *connection, uint32_t count, uint64_t offset,
                uint32_t flags)
{
    (void)connection;
    return note_script("trim", count, offset, flags);
}

int script_zero(const struct connection *connection, uint32_t count, uint64_t offset,
                uint32_t flags)
{
    (void)connection;
    return note_script("zero", count, offset, flags);
}

int script_cache(const struct connection *connection, uint32_t count, uint64_t offset)
{
    (void)connection;
    return note_script("cache", count, offset, 0);
}

int64_t script_extents(const struct connection *connection, struct script_stretch stretch,
                       uint32_t flags, struct nbdkit_extents *extents)
{
    uint32_t count = stretch.count;
    uint64_t offset = stretch.offset;

    (void)connection;
    (void)extents;
    if (note_script("extents", count, offset, flags) < 0)
        return -1;
    return stand_ins_told < 0 ? count : stand_ins_told;
}

/* Those for the server and for call.c. */

__attribute__((format(printf, 2, 0))) static int fail(int errno_value, const char *format,
                                                      va_list args)
{
    printf("# ");
    vprintf(format, args);
    putchar('\n');
    errno = stand_ins_plugin_error = errno_value;
    return -1;
}

int call_fail(const char *method, int errno_value, const char *format, ...)
{
    va_list args;

    (void)method;
    va_start(args, format);
    fail(errno_value, format, args);
    va_end(args);
    return -1;
}

int call_refuse(const struct call *call, int errno_value, const char *format, ...)
{
    va_list args;

    (void)call;
    va_start(args, format);
    fail(errno_value, format, args);
    va_end(args);
    return -1;
}

void call_apply_effect(enum status_effect effect)
{
    if (effect != STATUS_EFFECT_NONE)
        note("effect %d", effect);
}

char *text_join_lines(const char *text, size_t length)
{
    return strndup(text, length);
}

int nbdkit_nanosleep(unsigned sec, unsigned nsec)
{
    return note("sleep %u.%03u", sec, nsec / 1000000);
}

void nbdkit_debug(const char *format, ...)
{
    (void)format;
}

void nbdkit_set_error(int error)
{
    stand_ins_plugin_error = error;
}

int nbdkit_add_extent(struct nbdkit_extents *extents, uint64_t offset, uint64_t length,
                      uint32_t type)
{
    (void)extents;
    return note("%" PRIu64 "+%" PRIu64 " %" PRIu32, offset, length, type);
}
