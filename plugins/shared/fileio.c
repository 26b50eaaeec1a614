/* SPDX-License-Identifier: BSD-3-Clause */

/* Access to one open file or block device: whole reads and writes, zeroes, holes.
 * Request threads are in here in parallel. It may call libc and nbdkit_error, nbdkit_debug. */

#define _GNU_SOURCE 1
#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "fileio.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int log_failure(const struct fileio *file, const char *what, uint32_t count_bytes,
                       uint64_t offset)
{
    nbdkit_error("%s: cannot %s %" PRIu32 " byte%s at offset %" PRIu64 ": %m", file->name, what,
                 count_bytes, count_bytes == 1 ? "" : "s", offset);
    return -1;
}

static int check_mode(mode_t mode)
{
    if (S_ISREG(mode) || S_ISBLK(mode))
        return 0;
    errno = S_ISDIR(mode) ? EISDIR : ENODEV;
    return -1;
}

int fileio_check_type(int directory_fd, const char *path)
{
    struct stat status;

    return fstatat(directory_fd, path, &status, 0) == -1 ? -1 : check_mode(status.st_mode);
}

int fileio_check_descriptor(int fd)
{
    struct stat status;

    return fstat(fd, &status) == -1 ? -1 : check_mode(status.st_mode);
}

/* O_NONBLOCK so that a file that has turned into a FIFO since it was checked cannot hang us. */
static void open_either_way(struct fileio *file, int directory_fd, const char *path,
                            const struct fileio_options *options)
{
    const int flags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK;

    if (!options->is_readonly) {
        file->can_write = true;
        file->file_fd = openat(directory_fd, path, O_RDWR | flags);
        if (file->file_fd != -1 || options->must_write ||
            (errno != EACCES && errno != EPERM && errno != EROFS && errno != ETXTBSY))
            return;
        nbdkit_debug("%s: served read-only, it cannot be opened for writing: %m", file->name);
    }
    file->can_write = false;
    file->file_fd = openat(directory_fd, path, O_RDONLY | flags);
}

static int read_status(struct fileio *file)
{
    struct stat status;

    if (fstat(file->file_fd, &status) == -1 || check_mode(status.st_mode) == -1)
        return -1;
    file->is_block_device = S_ISBLK(status.st_mode);
    file->size_bytes = (uint64_t)status.st_size;
    if (file->is_block_device)
        return ioctl(file->file_fd, BLKGETSIZE64, &file->size_bytes);
    return 0;
}

static int begin_file(struct fileio *file, const char *name, const struct fileio_options *options)
{
    *file = (struct fileio){ .file_fd = -1, .must_drop_cache = options->must_drop_cache };
    file->name = strdup(name);
    return file->name == NULL ? -1 : 0;
}

/* The file's descriptor is open, or not if anything failed before. */
static int finish_file(struct fileio *file, const struct fileio_options *options)
{
    if (file->file_fd == -1 || read_status(file) == -1) {
        fileio_close_file(file);
        return -1;
    }
    if (posix_fadvise(file->file_fd, 0, 0, options->advice) != 0)
        nbdkit_debug("%s: this file takes no access advice", file->name);
    return 0;
}

int fileio_adopt_file(struct fileio *file, int fd, const char *name,
                      const struct fileio_options *options)
{
    if (begin_file(file, name, options) == -1)
        return -1;
    file->can_write = !options->is_readonly && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR;
    file->file_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return finish_file(file, options);
}

int fileio_open_file(struct fileio *file, int directory_fd, const char *path,
                     const struct fileio_options *options)
{
    if (begin_file(file, path, options) == -1)
        return -1;
    if (fileio_check_type(directory_fd, path) == 0)
        open_either_way(file, directory_fd, path, options);
    return finish_file(file, options);
}

void fileio_close_file(struct fileio *file)
{
    int saved_errno = errno;

    if (file->file_fd != -1)
        close(file->file_fd);
    free(file->name);
    errno = saved_errno;
}

const char *fileio_explain_open(int error)
{
    switch (error) {
    case EISDIR:
        return "is a directory";
    case ENODEV:
        return "is neither a regular file nor a block device";
    default:
        return strerror(error);
    }
}

/* A kernel may not know a call, and a seccomp profile may refuse it. */
static bool is_call_missing(int error)
{
    return error == ENOSYS || error == EPERM;
}

/* Written pages can be dropped only once they are on the disk. A failure to write them is seen
 * here and not by a later flush again, so that it must fail the request. */
static int drop_written_cache(const struct fileio *file, uint32_t count_bytes, uint64_t offset)
{
    const unsigned flags =
        SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;

    if (sync_file_range(file->file_fd, (off_t)offset, count_bytes, flags) == -1 &&
        (!is_call_missing(errno) || fdatasync(file->file_fd) == -1))
        return -1;
    posix_fadvise(file->file_fd, (off_t)offset, count_bytes, POSIX_FADV_DONTNEED);
    return 0;
}

static int fail_truncated(const struct fileio *file, uint64_t offset)
{
    nbdkit_error("%s: the file ends at offset %" PRIu64 ", it had %" PRIu64 " bytes when it was "
                 "opened: it was truncated while it was served",
                 file->name, offset, file->size_bytes);
    errno = EIO;
    return -1;
}

int fileio_read_range(struct fileio *file, void *buffer, uint32_t count_bytes, uint64_t offset)
{
    char *target = buffer;
    size_t done_bytes = 0;

    while (done_bytes < count_bytes) {
        ssize_t got_bytes = pread(file->file_fd, target + done_bytes, count_bytes - done_bytes,
                                  (off_t)(offset + done_bytes));

        if (got_bytes == 0)
            return fail_truncated(file, offset + done_bytes);
        if (got_bytes == -1 && errno != EINTR)
            return log_failure(file, "read", count_bytes, offset);
        if (got_bytes > 0)
            done_bytes += (size_t)got_bytes;
    }
    if (file->must_drop_cache)
        posix_fadvise(file->file_fd, (off_t)offset, count_bytes, POSIX_FADV_DONTNEED);
    return 0;
}

static int write_all(const struct fileio *file, const void *buffer, uint32_t count_bytes,
                     uint64_t offset, int flags)
{
    /* iovec knows no const; writing does not need it. */
    struct iovec rest = { .iov_base = (void *)(uintptr_t)buffer, .iov_len = count_bytes };

    while (rest.iov_len > 0) {
        ssize_t put_bytes = flags == 0
                                ? pwrite(file->file_fd, rest.iov_base, rest.iov_len, (off_t)offset)
                                : pwritev2(file->file_fd, &rest, 1, (off_t)offset, flags);

        if (put_bytes == -1 && errno != EINTR)
            return -1;
        if (put_bytes > 0) {
            rest.iov_base = (char *)rest.iov_base + put_bytes;
            rest.iov_len -= (size_t)put_bytes;
            offset += (uint64_t)put_bytes;
        }
    }
    return 0;
}

/* RWF_DSYNC syncs what it writes and no more; where it is missing the whole file is synced. */
static int write_synced(const struct fileio *file, const void *buffer, uint32_t count_bytes,
                        uint64_t offset)
{
    if (write_all(file, buffer, count_bytes, offset, RWF_DSYNC) == 0)
        return 0;
    if (errno != EOPNOTSUPP && !is_call_missing(errno))
        return -1;
    if (write_all(file, buffer, count_bytes, offset, 0) == -1)
        return -1;
    return fdatasync(file->file_fd);
}

int fileio_write_range(struct fileio *file, const void *buffer, uint32_t count_bytes,
                       uint64_t offset, bool must_sync)
{
    int result = must_sync ? write_synced(file, buffer, count_bytes, offset)
                           : write_all(file, buffer, count_bytes, offset, 0);

    if (result == 0 && file->must_drop_cache)
        result = drop_written_cache(file, count_bytes, offset);
    return result == 0 ? 0 : log_failure(file, "write", count_bytes, offset);
}

int fileio_flush_file(struct fileio *file)
{
    if (fdatasync(file->file_fd) == 0)
        return 0;
    nbdkit_error("%s: cannot flush: %m", file->name);
    return -1;
}

static bool is_not_supported(const struct fileio *file)
{
    /* A block device says EINVAL to a range that is not aligned to its sectors. */
    return errno == EOPNOTSUPP || errno == ENODEV || is_call_missing(errno) ||
           (errno == EINVAL && file->is_block_device);
}

static bool is_set(const atomic_bool *flag)
{
    return atomic_load_explicit(flag, memory_order_relaxed);
}

/* One call of fallocate, remembered where it will never work. Returns 0, or -1 with errno; it is
 * ENOTSUP when another way may work. */
static int allocate_as(const struct fileio *file, int mode, uint32_t count_bytes, uint64_t offset,
                       atomic_bool *cannot)
{
    if (!is_set(cannot)) {
        int result;

        do {
            result =
                fallocate(file->file_fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)offset, count_bytes);
        } while (result == -1 && errno == EINTR);
        if (result == 0 || !is_not_supported(file))
            return result;
        if (errno != EINVAL)
            atomic_store_explicit(cannot, true, memory_order_relaxed);
    }
    errno = ENOTSUP;
    return -1;
}

static int punch_hole(struct fileio *file, uint32_t count_bytes, uint64_t offset)
{
    return allocate_as(file, FALLOC_FL_PUNCH_HOLE, count_bytes, offset, &file->cannot_punch);
}

/* Zeroes that stay allocated. File systems without FALLOC_FL_ZERO_RANGE, such as tmpfs, can take
 * the blocks away and give new ones. */
static int zero_allocated(struct fileio *file, uint32_t count_bytes, uint64_t offset)
{
    if (allocate_as(file, FALLOC_FL_ZERO_RANGE, count_bytes, offset, &file->cannot_zero) == 0)
        return 0;
    if (errno != ENOTSUP || file->is_block_device)
        return -1;
    if (punch_hole(file, count_bytes, offset) == -1)
        return -1;
    return allocate_as(file, 0, count_bytes, offset, &file->cannot_allocate);
}

int fileio_zero_range(struct fileio *file, uint32_t count_bytes, uint64_t offset, bool may_trim,
                      bool must_be_fast)
{
    if (may_trim && punch_hole(file, count_bytes, offset) == 0)
        return 0;
    if (may_trim && errno != ENOTSUP)
        return log_failure(file, "zero", count_bytes, offset);
    if (must_be_fast && file->is_block_device) {
        errno = ENOTSUP; /* a device that cannot zero gets zeroes written by the kernel, slowly */
        return -1;
    }
    if (zero_allocated(file, count_bytes, offset) == 0)
        return 0;
    return errno == ENOTSUP ? -1 : log_failure(file, "zero", count_bytes, offset);
}

bool fileio_may_zero_fast(const struct fileio *file, bool may_trim)
{
    if (file->is_block_device)
        return may_trim && !is_set(&file->cannot_punch);
    return !is_set(&file->cannot_punch) || !is_set(&file->cannot_zero);
}

int fileio_trim_range(struct fileio *file, uint32_t count_bytes, uint64_t offset)
{
    if (punch_hole(file, count_bytes, offset) == 0)
        return 0;
    if (errno != ENOTSUP)
        return log_failure(file, "trim", count_bytes, offset);
    nbdkit_debug("%s: trim is not supported here, nothing done", file->name);
    return 0;
}

int fileio_cache_range(struct fileio *file, uint32_t count_bytes, uint64_t offset)
{
    errno = posix_fadvise(file->file_fd, (off_t)offset, count_bytes, POSIX_FADV_WILLNEED);
    return errno == 0 || is_call_missing(errno) ? 0
                                                : log_failure(file, "cache", count_bytes, offset);
}

bool fileio_can_find_extents(const struct fileio *file)
{
    /* ENXIO is the answer of a file of no bytes. */
    return lseek(file->file_fd, 0, SEEK_HOLE) != -1 || errno == ENXIO;
}

/* Behind the last data: a hole to the end, and what is missing where the end has moved. */
static int find_last_hole(struct fileio *file, uint64_t offset, uint64_t *length_bytes,
                          uint32_t *type)
{
    struct stat status;

    if (fstat(file->file_fd, &status) == -1) {
        nbdkit_error("%s: cannot find the file's size: %m", file->name);
        return -1;
    }
    bool is_missing = (uint64_t)status.st_size <= offset;
    *type = is_missing ? NBDKIT_EXTENT_HOLE : NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO;
    *length_bytes = (is_missing ? file->size_bytes : (uint64_t)status.st_size) - offset;
    return 0;
}

int fileio_find_extent(struct fileio *file, uint64_t offset, uint64_t *length_bytes, uint32_t *type)
{
    off_t data = lseek(file->file_fd, (off_t)offset, SEEK_DATA);
    off_t end = data == (off_t)offset ? lseek(file->file_fd, data, SEEK_HOLE) : data;

    if (end == -1 && errno == ENXIO)
        return find_last_hole(file, offset, length_bytes, type);
    if (end == -1)
        return log_failure(file, "find the extent of", 1, offset);
    *type = data == (off_t)offset ? 0 : NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO;
    /* A hole punched between the two calls; to call a byte of it data is always right. */
    *length_bytes = end == (off_t)offset ? 1 : (uint64_t)end - offset;
    return 0;
}

uint32_t fileio_get_preferred_bytes(const struct fileio *file)
{
    unsigned physical_bytes = 0;
    unsigned optimal_bytes = 0;
    uint32_t preferred_bytes = 4096;

    if (!file->is_block_device || ioctl(file->file_fd, BLKPBSZGET, &physical_bytes) == -1 ||
        ioctl(file->file_fd, BLKIOOPT, &optimal_bytes) == -1)
        return 0;
    while (preferred_bytes < 32u << 20 &&
           (preferred_bytes < physical_bytes || preferred_bytes * 2 <= optimal_bytes))
        preferred_bytes *= 2;
    return preferred_bytes;
}

bool fileio_is_rotational(const struct fileio *file)
{
    unsigned short is_rotational = 0;

    if (!file->is_block_device || ioctl(file->file_fd, BLKROTATIONAL, &is_rotational) == -1)
        return false;
    return is_rotational != 0;
}
