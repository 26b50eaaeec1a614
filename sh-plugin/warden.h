/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A process that clears away after a server that did not do it itself, because
 * it was killed: it ends the scripts and removes the temporary directory. The
 * server may fork and its parent end, the warden serves the child. One thread
 * at a time.
 */
#ifndef WARDEN_H
#define WARDEN_H

/*
 * Starts the warden of the calling process, before threads exist. `variable`
 * is "tmpdir=DIRECTORY", `folder_fd` that directory's descriptor, and `private` the other folder
 * that there may be. Without a warden the server works all the same, so a failure is only logged.
 */
void warden_start(const char *variable, int folder_fd, const char *private);

/* Tells the warden that the private folder has been made. */
void warden_add_private(void);

/*
 * The server has become another user, for good: has the warden give it
 * `folder`, the private one, and all that is in them, and become that user as well. Returns 0, or
 * -1 after nbdkit_error.
 */
int warden_hand_over(const char *folder);

/* Sends the warden home; it is not needed any more. */
void warden_dismiss(void);

#endif
