/* SPDX-License-Identifier: BSD-3-Clause */
/* What a descriptor is, who gets it, and pipes that do not block. Any thread. */
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

/*
 * Keeps descriptors from 3 on, those that the process was started with, from
 * the programs that it starts.
 */
void descriptor_keep_inherited(void);

/* Is the descriptor open, and one that the process was started with? `fd` is not negative. */
bool descriptor_is_inherited(int fd);

/* Closes all descriptors from 3 on that no program would get, `spared_fd` apart. */
void descriptor_close_private(int spared_fd);

#endif
