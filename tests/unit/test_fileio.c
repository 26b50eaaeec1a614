/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Access to files that a machine of tests need not have: a block device, a
 * file system without holes. Functions of this file stand between fileio.c and
 * the system.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#define DEVICE_BYTES 65536

static int tests;
static int failures;
static bool is_device = true; /* do files look like block devices? */
static int allocate_errno;    /* with which fallocate fails; 0: it succeeds */
static unsigned device_physical_bytes = 512;
static unsigned device_optimal_bytes;
static int last_mode; /* of fallocate, as it was called last */
static int syncs;     /* calls of fdatasync */

static void check(bool is_ok, const char *name)
{
    tests++;
    failures += !is_ok;
    printf("%s %d - %s\n", is_ok ? "ok" : "not ok", tests, name);
}

/* A block device has no size for stat(2). */
static int disguise(int result, struct stat *status)
{
    if (result == 0 && is_device && S_ISREG(status->st_mode)) {
        status->st_mode = S_IFBLK | 0600;
        status->st_size = 0;
    }
    return result;
}

static int fake_fstat(int fd, struct stat *status)
{
    return disguise(fstat(fd, status), status);
}

static int fake_fstatat(int fd, const char *path, struct stat *status, int flags)
{
    return disguise(fstatat(fd, path, status, flags), status);
}

static int fake_ioctl(int fd, unsigned long request, ...)
{
    va_list args;

    (void)fd;
    va_start(args, request);
    if (request == BLKGETSIZE64)
        *va_arg(args, uint64_t *) = DEVICE_BYTES;
    else if (request == BLKPBSZGET)
        *va_arg(args, unsigned *) = device_physical_bytes;
    else if (request == BLKIOOPT)
        *va_arg(args, unsigned *) = device_optimal_bytes;
    else if (request == BLKROTATIONAL)
        *va_arg(args, unsigned short *) = 1;
    va_end(args);
    return 0;
}

static int fake_fallocate(int fd, int mode, off_t offset, off_t length)
{
    (void)fd;
    (void)offset;
    (void)length;
    last_mode = mode;
    errno = allocate_errno;
    return allocate_errno == 0 ? 0 : -1;
}

static int fake_fdatasync(int fd)
{
    (void)fd;
    syncs++;
    return 0;
}

void nbdkit_error(const char *format, ...)
{
    (void)format;
}

void nbdkit_debug(const char *format, ...)
{
    (void)format;
}

/* Linked in this way, so that it calls the functions above. */
#define fstat fake_fstat
#define fstatat fake_fstatat
#define ioctl fake_ioctl
#define fallocate fake_fallocate
#define fdatasync fake_fdatasync
#include "../../plugins/shared/fileio.c"

static struct fileio open_file(const char *path)
{
    struct fileio_options options = { .advice = POSIX_FADV_NORMAL };
    struct fileio file;

    check(fileio_open_file(&file, AT_FDCWD, path, &options) == 0, "it is opened");
    return file;
}

static void test_device(const char *path)
{
    char data[4] = "";
    uint64_t length;
    uint32_t type;

    is_device = true;
    struct fileio file = open_file(path);
    check(file.is_block_device && file.size_bytes == DEVICE_BYTES && file.can_write,
          "a block device has the size that the kernel says");
    check(fileio_is_rotational(&file), "and may turn");
    check(fileio_write_range(&file, "abc", 3, DEVICE_BYTES - 3, false) == 0 &&
              fileio_read_range(&file, data, 3, DEVICE_BYTES - 3) == 0 && strcmp(data, "abc") == 0,
          "is written and read up to its end");
    check(fileio_can_find_extents(&file) &&
              fileio_find_extent(&file, DEVICE_BYTES - 1, &length, &type) == 0 && type == 0 &&
              length == 1,
          "has extents, where the kernel tells them");
    check(fileio_may_zero_fast(&file, true) && !fileio_may_zero_fast(&file, false),
          "is zeroed fast by trimming alone");
    check(fileio_zero_range(&file, 512, 0, true, true) == 0 &&
              last_mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE),
          "which is a punched hole");
    check(fileio_zero_range(&file, 512, 0, false, true) == -1 && errno == ENOTSUP,
          "and not otherwise");
    allocate_errno = EINVAL;
    check(fileio_zero_range(&file, 3, 1, true, false) == -1 && errno == ENOTSUP,
          "a range that is not aligned to its sectors has to be written");
    allocate_errno = 0;
    check(fileio_trim_range(&file, 512, 0) == 0, "which does not end trimming for good");
    check(fileio_flush_file(&file) == 0 && syncs == 1, "a flush reaches the device");
    fileio_close_file(&file);
}

static void test_sizes(const char *path)
{
    static const unsigned rows[][3] = {
        { 512, 0, 4096 },
        { 4096, 0, 4096 },
        { 16384, 4096, 16384 },
        { 512, 1536 << 10, 1 << 20 }, /* a RAID's, no power of 2 */
        { 512, 0xffffffff, 32 << 20 },
    };

    is_device = true;
    struct fileio file = open_file(path);
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        device_physical_bytes = rows[i][0];
        device_optimal_bytes = rows[i][1];
        check(fileio_get_preferred_bytes(&file) == rows[i][2], "the size that a device prefers");
    }
    fileio_close_file(&file);
    is_device = false;
    file = open_file(path);
    check(fileio_get_preferred_bytes(&file) == 0, "a file has none");
    fileio_close_file(&file);
}

static void test_poor_file_system(const char *path)
{
    is_device = false;
    allocate_errno = EOPNOTSUPP;
    struct fileio file = open_file(path);
    check(fileio_may_zero_fast(&file, false), "before it is tried, a fast zero may succeed");
    check(fileio_zero_range(&file, 512, 0, false, true) == -1 && errno == ENOTSUP,
          "it does not where the file system cannot");
    check(!fileio_may_zero_fast(&file, true) && !fileio_may_zero_fast(&file, false),
          "which is remembered");
    check(fileio_trim_range(&file, 512, 0) == 0, "a trim is a hint");
    fileio_close_file(&file);
}

static void test_opening(const char *path)
{
    struct fileio_options options = { .must_write = true, .advice = POSIX_FADV_NORMAL };
    struct fileio file;

    is_device = false;
    check(fileio_open_file(&file, AT_FDCWD, "/", &options) == -1 && errno == EISDIR &&
              strcmp(fileio_explain_open(errno), "is a directory") == 0,
          "a directory is refused");
    check(fileio_open_file(&file, AT_FDCWD, "/dev/null", &options) == -1 && errno == ENODEV &&
              strcmp(fileio_explain_open(errno), "is neither a regular file nor a block device") ==
                  0,
          "a character device is refused");
    check(fileio_open_file(&file, AT_FDCWD, "/nonexistent", &options) == -1 && errno == ENOENT,
          "no file");
    options = (struct fileio_options){ .is_readonly = true, .advice = POSIX_FADV_NORMAL };
    check(fileio_open_file(&file, AT_FDCWD, path, &options) == 0 && !file.can_write, "read-only");
    check(fileio_write_range(&file, "abc", 3, 0, false) == -1 && errno == EBADF,
          "is read-only for the kernel, too");
    fileio_close_file(&file);
}

int main(void)
{
    char path[] = "/tmp/test_fileio-XXXXXX";
    int fd = mkstemp(path);

    check(fd >= 0 && ftruncate(fd, DEVICE_BYTES) == 0, "a file to test with");
    close(fd);
    test_device(path);
    test_sizes(path);
    test_poor_file_system(path);
    test_opening(path);
    unlink(path);
    printf("1..%d\n", tests);
    return failures > 0;
}
