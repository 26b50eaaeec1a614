/* SPDX-License-Identifier: BSD-3-Clause */

#ifndef FILEIO_H
#define FILEIO_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* How a file is used; chosen once for all files of a server or of a connection. */
struct fileio_options {
    bool is_readonly;
    bool must_write;      /* a file that can only be read is an error, not served read-only */
    bool must_drop_cache; /* keep what was read and written out of the page cache */
    int advice;           /* POSIX_FADV_NORMAL, _RANDOM or _SEQUENTIAL for all of it */
};

/* An open regular file or block device. All functions but open and close may be called by any
 * number of threads at a time; none takes a lock. What fails is logged here, with the name, but for
 * open, whose caller knows more. */
struct fileio {
    int file_fd;
    char *name;          /* for messages; owned */
    uint64_t size_bytes; /* when it was opened; ranges are to lie inside it */
    bool is_block_device;
    bool can_write; /* false if asked for, or if the file can only be read */
    bool must_drop_cache;
    atomic_bool cannot_punch; /* these are set once the file system has said so */
    atomic_bool cannot_zero;
    atomic_bool cannot_allocate;
};

/* Opens the file at path, which is relative to directory_fd (AT_FDCWD is allowed), and follows
 * symbolic links. Anything but a regular file or a block device is refused before it is opened.
 * Returns 0, and the caller is to close it; or -1 with errno, for fileio_explain_open. */
int fileio_open_file(struct fileio *file, int directory_fd, const char *path,
                     const struct fileio_options *options);

/* The same for a descriptor of such a file, which is duplicated; name is for messages. It can be
 * written if the descriptor is for both. */
int fileio_adopt_file(struct fileio *file, int fd, const char *name,
                      const struct fileio_options *options);
void fileio_close_file(struct fileio *file);

/* Why a file could not be opened, in words, after "NAME: ". Static, or strerror(3)'s. */
const char *fileio_explain_open(int error);

/* 0 if fd is open on a regular file or a block device; else -1 with errno. Logs nothing. */
int fileio_check_descriptor(int fd);

/* 0 if path names a regular file or a block device; else -1 with errno. Logs nothing. */
int fileio_check_type(int directory_fd, const char *path);

/* Each returns 0, or -1 with errno after the error was logged. A file that has become shorter than
 * the range is an error, EIO: its missing end is never read as zeroes. */
int fileio_read_range(struct fileio *file, void *buffer, uint32_t count_bytes, uint64_t offset);
int fileio_write_range(struct fileio *file, const void *buffer, uint32_t count_bytes,
                       uint64_t offset, bool must_sync);
int fileio_flush_file(struct fileio *file);

/* Makes the range read as zeroes and, with may_trim, gives its blocks back. With must_be_fast it
 * never falls back to something as slow as a write. ENOTSUP (not logged): write zeroes instead. */
int fileio_zero_range(struct fileio *file, uint32_t count_bytes, uint64_t offset, bool may_trim,
                      bool must_be_fast);

/* May a zeroing that must be fast succeed, as far as is known before it is tried? */
bool fileio_may_zero_fast(const struct fileio *file, bool may_trim);

/* Gives the blocks of the range back where the file system can; elsewhere does nothing. */
int fileio_trim_range(struct fileio *file, uint32_t count_bytes, uint64_t offset);

/* Asks the kernel to read the range ahead. */
int fileio_cache_range(struct fileio *file, uint32_t count_bytes, uint64_t offset);

/* True if the file can tell its holes. */
bool fileio_can_find_extents(const struct fileio *file);

/* Stores what is at offset, NBDKIT_EXTENT_*, and in *length_bytes for how many bytes. The missing
 * end of a file that has become shorter is a hole that does not read as zeroes: it reads as EIO. */
int fileio_find_extent(struct fileio *file, uint64_t offset, uint64_t *length_bytes,
                       uint32_t *type);

/* How many bytes requests should have, as the block device says: a power of 2 from 4096 to 32 MiB.
 * 0 for a regular file, and if the device says nothing. */
uint32_t fileio_get_preferred_bytes(const struct fileio *file);

/* True if the file is a block device on a disk that turns. */
bool fileio_is_rotational(const struct fileio *file);

#endif
