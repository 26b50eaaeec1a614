/* SPDX-License-Identifier: BSD-3-Clause */

/* The file plugin: serves one file or block device, or those of a directory by export name.
 * Owns the parameters and what is per connection. Request threads are in here in parallel; it may
 * call fileio and the plugin API. */

#define _GNU_SOURCE 1
#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fileio.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

/* What may be served. */
static const struct source {
    const char *key;
    bool is_directory;  /* its files, by export name */
    bool is_descriptor; /* inherited from whoever started the server */
} sources[] = {
    { .key = "file" },
    { .key = "dir", .is_directory = true },
    { .key = "directory", .is_directory = true },
    { .key = "fd", .is_descriptor = true },
    { .key = "dirfd", .is_directory = true, .is_descriptor = true },
};

/* Set in the configuration phase. */
static const struct source *source;
static char *source_path;  /* absolute; or "fd=N", for messages */
static int source_fd = -1; /* of a directory or a descriptor */
static struct fileio_options options = { .advice = POSIX_FADV_NORMAL };
static bool has_cache;
static bool has_advice;

/* Duplicated at once: it is the plugin's, whatever becomes of those that the server was given. */
static int take_descriptor(const char *key, const char *value)
{
    int fd;

    if (nbdkit_parse_int(key, value, &fd) == -1)
        return -1;
    if (fd <= STDERR_FILENO) {
        nbdkit_error("file: %s=%s: give a descriptor from 3 on: the first three are the server's",
                     key, value);
        return -1;
    }
    source_fd = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (source_fd == -1 || asprintf(&source_path, "%s=%d", key, fd) == -1) {
        source_path = NULL;
        nbdkit_error("file: %s=%s: %m", key, value);
        return -1;
    }
    return 0;
}

static int take_source(const struct source *new_source, const char *value)
{
    if (source != NULL) {
        nbdkit_error("file: %s=%s: %s was given before: give one of file, dir, fd and dirfd, once",
                     new_source->key, value, source->key);
        return -1;
    }
    source = new_source;
    if (source->is_descriptor)
        return take_descriptor(source->key, value);
    source_path = nbdkit_absolute_path(value);
    return source_path == NULL ? -1 : 0;
}

static int refuse_second(const char *key, const char *value)
{
    nbdkit_error("file: %s=%s: %s was given before, it can be given only once", key, value, key);
    return -1;
}

static int parse_cache(const char *value)
{
    if (has_cache)
        return refuse_second("cache", value);
    has_cache = true;
    if (strcmp(value, "default") != 0 && strcmp(value, "none") != 0) {
        nbdkit_error("file: cache=%s is not known: use default or none", value);
        return -1;
    }
    options.must_drop_cache = strcmp(value, "none") == 0;
    return 0;
}

static int parse_advice(const char *value)
{
    if (has_advice)
        return refuse_second("fadvise", value);
    has_advice = true;
    if (strcmp(value, "normal") == 0)
        options.advice = POSIX_FADV_NORMAL;
    else if (strcmp(value, "random") == 0)
        options.advice = POSIX_FADV_RANDOM;
    else if (strcmp(value, "sequential") == 0)
        options.advice = POSIX_FADV_SEQUENTIAL;
    else {
        nbdkit_error("file: fadvise=%s is not known: use normal, random or sequential", value);
        return -1;
    }
    return 0;
}

static int file_config(const char *key, const char *value)
{
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++)
        if (strcmp(key, sources[i].key) == 0)
            return take_source(&sources[i], value);
    if (strcmp(key, "cache") == 0)
        return parse_cache(value);
    if (strcmp(key, "fadvise") == 0)
        return parse_advice(value);
    nbdkit_error("file: unknown parameter '%s': it takes file, dir, fd, dirfd, cache and fadvise",
                 key);
    return -1;
}

static int check_file(void)
{
    int result = source->is_descriptor ? fileio_check_descriptor(source_fd)
                                       : fileio_check_type(AT_FDCWD, source_path);

    if (result == 0)
        return 0;
    if (errno == EISDIR)
        nbdkit_error("file: %s is a directory: give dir%s%s to serve the files in it", source_path,
                     source->is_descriptor ? "" : "=", source_path);
    else if (errno == ENODEV)
        nbdkit_error("file: %s is neither a regular file nor a block device", source_path);
    else
        nbdkit_error("file: %s: %m", source_path);
    return -1;
}

/* What is written to a descriptor for appending lands at the end of the file. */
static int check_descriptor(void)
{
    int flags = fcntl(source_fd, F_GETFL);

    if (flags == -1 || check_file() == -1)
        return -1;
    if ((flags & (O_PATH | O_APPEND)) == 0 && (flags & O_ACCMODE) != O_WRONLY)
        return 0;
    nbdkit_error("file: %s is open for writing only, for appending, or not for reading at all: "
                 "open it for reading, or for both",
                 source_path);
    return -1;
}

static int open_directory(void)
{
    struct stat status;

    if (!source->is_descriptor)
        source_fd = open(source_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (source_fd == -1)
        nbdkit_error("file: dir=%s: %m", source_path);
    else if (fstat(source_fd, &status) == -1)
        nbdkit_error("file: %s: %m", source_path);
    else if (!S_ISDIR(status.st_mode))
        nbdkit_error("file: %s is not a directory", source_path);
    else
        return 0;
    return -1;
}

static int file_config_complete(void)
{
    if (source == NULL) {
        nbdkit_error("file: give one of file=PATH, dir=DIRECTORY, fd=NUMBER and dirfd=NUMBER");
        return -1;
    }
    if (source->is_directory)
        return open_directory();
    return source->is_descriptor ? check_descriptor() : check_file();
}

static void file_dump_plugin(void)
{
    printf("file_block_size=yes\n");
    printf("file_blkrotational=yes\n");
    printf("file_extents=yes\n");
    printf("file_falloc_fl_punch_hole=yes\n");
    printf("file_falloc_fl_zero_range=yes\n");
}

static void file_unload(void)
{
    if (source_fd != -1)
        close(source_fd);
    free(source_path);
}

/* Export names come from the network: one with a slash could leave the directory, one with a
 * control character could forge lines of the log. */
static bool is_plain_name(const char *name)
{
    for (const char *c = name; *c != '\0'; c++)
        if (*c == '/' || iscntrl((unsigned char)*c))
            return false;
    return true;
}

static int add_export(const char *name, struct nbdkit_exports *exports)
{
    if (!is_plain_name(name) || fileio_check_type(source_fd, name) == -1)
        return 0;
    if (nbdkit_add_export(exports, name, NULL) == 0)
        return 0;
    return errno == EINVAL ? 0 : -1; /* a name that is not UTF-8 must not hide the other files */
}

static int file_list_exports(int readonly, int is_tls, struct nbdkit_exports *exports)
{
    struct dirent **entries;
    int count, result = 0;

    (void)readonly;
    (void)is_tls;
    if (!source->is_directory)
        return nbdkit_use_default_export(exports);
    count = scandirat(source_fd, ".", &entries, NULL, alphasort);
    if (count == -1) {
        nbdkit_error("file: cannot list %s: %m", source_path);
        return -1;
    }
    for (int i = 0; i < count; i++) {
        if (result == 0)
            result = add_export(entries[i]->d_name, exports);
        free(entries[i]);
    }
    free(entries);
    return result;
}

/* Returns the name of the file in the directory that the client asks for, or NULL after an error.
 */
static const char *choose_file(void)
{
    const char *name = nbdkit_export_name();

    if (name == NULL)
        return NULL;
    if (name[0] == '\0') {
        nbdkit_error("file: the client named no export: it must name a file in %s", source_path);
        nbdkit_set_error(EINVAL);
        return NULL;
    }
    if (!is_plain_name(name)) {
        nbdkit_error("file: the client's export name has a slash or a control character in it: "
                     "only files directly in %s are served",
                     source_path);
        nbdkit_set_error(EINVAL);
        return NULL;
    }
    return name;
}

static int open_source(struct fileio *file, const char *name,
                       const struct fileio_options *connection_options)
{
    if (source->is_descriptor && !source->is_directory)
        return fileio_adopt_file(file, source_fd, name, connection_options);
    return fileio_open_file(file, source->is_directory ? source_fd : AT_FDCWD, name,
                            connection_options);
}

static void *file_open(int readonly)
{
    struct fileio_options connection_options = options;
    const char *name = source->is_directory ? choose_file() : source_path;
    struct fileio *file;

    if (name == NULL)
        return NULL;
    file = malloc(sizeof *file);
    if (file == NULL) {
        nbdkit_error("file: %m");
        return NULL;
    }
    connection_options.is_readonly = readonly != 0;
    if (open_source(file, name, &connection_options) == -1) {
        nbdkit_error("%s: cannot serve it: %s", name, fileio_explain_open(errno));
        free(file);
        return NULL;
    }
    return file;
}

static void file_close(void *handle)
{
    fileio_close_file(handle);
    free(handle);
}

static int64_t file_get_size(void *handle)
{
    const struct fileio *file = handle;

    return (int64_t)file->size_bytes;
}

/* The minimum is 1: through the page cache, a request need not be aligned to the sectors. */
static int file_block_size(void *handle, uint32_t *minimum, uint32_t *preferred, uint32_t *maximum)
{
    *preferred = fileio_get_preferred_bytes(handle);
    *minimum = *preferred == 0 ? 0 : 1;
    *maximum = *preferred == 0 ? 0 : UINT32_MAX;
    return 0;
}

static int file_can_write(void *handle)
{
    const struct fileio *file = handle;

    return file->can_write;
}

static int file_is_rotational(void *handle)
{
    return fileio_is_rotational(handle);
}

/* True because the kernel's page cache is one for all connections, and fdatasync is for the file
 * and not for the descriptor. */
static int file_can_multi_conn(void *handle)
{
    (void)handle;
    return 1;
}

static int file_can_fast_zero(void *handle)
{
    (void)handle;
    return 1;
}

static int file_can_extents(void *handle)
{
    return fileio_can_find_extents(handle);
}

static int file_can_fua(void *handle)
{
    (void)handle;
    return NBDKIT_FUA_NATIVE;
}

static int file_can_cache(void *handle)
{
    (void)handle;
    return NBDKIT_CACHE_NATIVE;
}

static int file_pread(void *handle, void *buffer, uint32_t count, uint64_t offset, uint32_t flags)
{
    (void)flags;
    return fileio_read_range(handle, buffer, count, offset);
}

static int file_pwrite(void *handle, const void *buffer, uint32_t count, uint64_t offset,
                       uint32_t flags)
{
    return fileio_write_range(handle, buffer, count, offset, (flags & NBDKIT_FLAG_FUA) != 0);
}

static int file_flush(void *handle, uint32_t flags)
{
    (void)flags;
    return fileio_flush_file(handle);
}

static int sync_if_asked(void *handle, uint32_t flags)
{
    return (flags & NBDKIT_FLAG_FUA) != 0 ? fileio_flush_file(handle) : 0;
}

static int file_trim(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    if (fileio_trim_range(handle, count, offset) == -1)
        return -1;
    return sync_if_asked(handle, flags);
}

static int file_zero(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    bool may_trim = (flags & NBDKIT_FLAG_MAY_TRIM) != 0;
    bool must_be_fast = (flags & NBDKIT_FLAG_FAST_ZERO) != 0;

    if (fileio_zero_range(handle, count, offset, may_trim, must_be_fast) == -1)
        return -1;
    return sync_if_asked(handle, flags);
}

static int file_extents(void *handle, uint32_t count, uint64_t offset, uint32_t flags,
                        struct nbdkit_extents *extents)
{
    uint64_t end = offset + count;

    while (offset < end) {
        uint64_t length_bytes;
        uint32_t type;

        if (fileio_find_extent(handle, offset, &length_bytes, &type) == -1)
            return -1;
        if (nbdkit_add_extent(extents, offset, length_bytes, type) == -1)
            return -1;
        if ((flags & NBDKIT_FLAG_REQ_ONE) != 0)
            break;
        offset += length_bytes;
    }
    return 0;
}

static int file_cache(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    (void)flags;
    return fileio_cache_range(handle, count, offset);
}

static struct nbdkit_plugin plugin = {
    .name = "file",
    .longname = "nbdlab file plugin",
    .version = NBDLAB_VERSION,
    .description = "Serves a file, a block device, or the files of a directory",
    .unload = file_unload,
    .dump_plugin = file_dump_plugin,
    .config = file_config,
    .config_complete = file_config_complete,
    .config_help = "[file=]PATH                       the file or block device to serve, or\n"
                   "dir=DIRECTORY                     serve its files by export name, or\n"
                   "fd=NUMBER, dirfd=NUMBER           the same by an inherited descriptor\n"
                   "cache=default|none                keep in the page cache, or not\n"
                   "fadvise=normal|random|sequential  how clients will access it",
    .magic_config_key = "file",
    .list_exports = file_list_exports,
    .open = file_open,
    .close = file_close,
    .get_size = file_get_size,
    .block_size = file_block_size,
    .can_write = file_can_write,
    .is_rotational = file_is_rotational,
    .can_multi_conn = file_can_multi_conn,
    .can_fast_zero = file_can_fast_zero,
    .can_extents = file_can_extents,
    .can_fua = file_can_fua,
    .can_cache = file_can_cache,
    .pread = file_pread,
    .pwrite = file_pwrite,
    .flush = file_flush,
    .trim = file_trim,
    .zero = file_zero,
    .extents = file_extents,
    .cache = file_cache,
    .errno_is_preserved = 1,
};
NBDKIT_REGISTER_PLUGIN(plugin)
