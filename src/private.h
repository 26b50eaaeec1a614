/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The folder of `-U -`, which only this user can enter. It is locked as long as its server lives:
 * one that was killed leaves a folder that nobody has locked, and the next server removes it. Main
 * thread.
 */
#ifndef PRIVATE_H
#define PRIVATE_H

/* The socket in it. */
#define PRIVATE_SOCKET "socket"

/*
 * Removes what servers that were killed have left, and makes a folder. Returns its path, for
 * free(3), and its descriptor, which keeps the lock; or NULL after logging.
 */
char *private_make_folder(int *fd);

#endif
