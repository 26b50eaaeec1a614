/* SPDX-License-Identifier: BSD-3-Clause */
/* Who the server is: -u and -g, and giving up root's rights for good. Main thread. */
#ifndef PRIVILEGES_H
#define PRIVILEGES_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Looks up the user and the group to become, names or numbers; NULL for none.
 * Returns 0, or -1 after logging. Early, while a wrong name costs nothing.
 */
int privileges_choose(const char *user, const char *group);

/* Is there a user or a group to become? */
bool privileges_are_chosen(void);

/* The user and group that the server will have, those of today where none was chosen. */
uid_t privileges_get_uid(void);
gid_t privileges_get_gid(void);

/*
 * Becomes the chosen user and group: real, effective and saved, without any
 * other group than theirs and, but for root, without capabilities. All threads.
 * Returns 0, or -1 after logging; the process must then not go on.
 */
int privileges_drop(void);

/* Says in the log that the server is root, where it is and nobody chose that. */
void privileges_warn_of_root(void);

#endif
