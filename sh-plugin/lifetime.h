/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What lives as long as the plugin is loaded: the temporary directory, the
 * environment of scripts, and the processes that scripts leave behind. All of
 * it is cleared away by lifetime_end, or by the warden where the server ends in
 * any other way. One thread at a time: the server's callbacks load and unload.
 */
#ifndef LIFETIME_H
#define LIFETIME_H

/* Makes the temporary directory and the environment. Returns 0, or -1 after nbdkit_error. */
int lifetime_begin(void);

/*
 * After the server has changed its user, if it has: makes the temporary
 * directory that user's. Returns 0, or -1 after nbdkit_error.
 */
int lifetime_settle(void);

/*
 * Makes a second folder, for the plugin itself, that goes away with the first.
 * Before the server changes its user. Returns 0, or -1 after nbdkit_error.
 */
int lifetime_make_private(void);

/* Ends processes left behind and removes the directories. */
void lifetime_end(void);

/* Absolute path of the temporary directory. Any thread. */
const char *lifetime_get_tmpdir(void);

/* Absolute path of the folder of lifetime_make_private. Any thread. */
const char *lifetime_get_private(void);

/* The environment of every script: the server's, and tmpdir. Any thread. */
char *const *lifetime_get_environment(void);

#endif
