/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One function per data command on the open export: the plugin's callback,
 * under the lock of the thread model, or the emulation that nbdlab-plugin(3)
 * promises. Arguments are checked by the caller. Each returns 0, or an errno
 * value; ESHUTDOWN without calling the plugin once the connection no longer
 * accepts commands. The plugin's last message about an error is then
 * api_log_get_text(). Any thread of the session.
 *
 * A callback counts bytes in 32 bits. A longer range is done in pieces, up to
 * the first one that fails; between two of them others get their turn, and
 * what remains is left with ESHUTDOWN once conn_is_ending().
 */
#ifndef IO_H
#define IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conn;
struct nbdkit_extents;
struct sparse_piece;

/* The size of the buffer by which so many bytes are zeroed by writing, or cached by reading. */
uint32_t io_get_zero_step(const struct conn *conn, uint64_t bytes);
uint32_t io_get_cache_step(const struct conn *conn, uint64_t bytes);

/* A range of the export, in bytes. */
struct io_range {
    uint64_t offset;
    uint64_t count;
};

struct io_zero_flags {
    bool is_fua;
    bool may_trim;
    bool is_fast;
};

int io_read(struct conn *conn, struct io_range range, void *buffer);

/* Would extents save work in a read that may be answered in pieces? */
bool io_is_sparse_read(struct conn *conn, struct io_range range);

/*
 * Reads what is not a hole: the bytes of range.offset come to be at `buffer`,
 * and those of holes are left as they are. Fills `pieces` in, SPARSE_PIECES_MAX
 * of them at most.
 */
int io_read_sparse(struct conn *conn, struct io_range range, char *buffer,
                   struct sparse_piece *pieces, size_t *count);
int io_write(struct conn *conn, struct io_range range, const void *buffer, bool is_fua);
int io_flush(struct conn *conn);
int io_trim(struct conn *conn, struct io_range range, bool is_fua);
int io_zero(struct conn *conn, struct io_range range, struct io_zero_flags flags);
int io_cache(struct conn *conn, struct io_range range);

/* Fills `extents`, which begins at range.offset, in; at least one extent on success. */
int io_extents(struct conn *conn, struct io_range range, bool is_one,
               struct nbdkit_extents *extents);

#endif
