/* SPDX-License-Identifier: BSD-3-Clause */
/* What a descriptor is, and pipes that do not block. Any thread. */
#ifndef DESCRIPTOR_H
#define DESCRIPTOR_H

#include <stdbool.h>
#include <sys/types.h>

/* Is the type of the file `type`, as S_IFSOCK? */
bool descriptor_has_type(int fd, mode_t type);

/*
 * Makes a descriptor of a pipe, open for O_RDONLY or O_WRONLY as `mode` says, one
 * that does not block, and leaves others as they are. Returns the descriptor
 * to be used in its place, which may be another, or -1 with errno.
 */
int descriptor_unblock_pipe(int fd, int mode);

#endif
