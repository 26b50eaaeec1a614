/* SPDX-License-Identifier: BSD-3-Clause */
/* The pid file (-P). Main thread. */
#ifndef PIDFILE_H
#define PIDFILE_H

#include <sys/types.h>

/*
 * Writes our process ID to `path`, which must stay valid. The file is a new one, and is whole as
 * soon as it has its name; it takes the place of a regular file with no other name, and of nothing
 * else. Returns 0, or -1 after logging.
 */
int pidfile_write(const char *path);

/* Makes the file, if there is one, the property of that user. */
void pidfile_give(uid_t uid, gid_t gid);

/* Removes the file, if there is one and it still names this process. */
void pidfile_remove(void);

/* The same without a word, in a handler of signals. */
void pidfile_clear_away(void);

#endif
