/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The right to put a socket at a path, or to remove it there. One server has it at a time, for no
 * longer than that takes: so nobody finds a socket between bind(2) and listen(2), which looks like
 * one whose server is gone, and nobody removes another's between looking and unlink(2). It is a
 * lock on the file .NAME.nbdlab-lock beside it, which is gone when the claim ends; the kernel ends
 * that of a process that is killed. Main thread.
 */
#ifndef CLAIM_H
#define CLAIM_H

/* claim.c's. */
struct claim {
    int folder_fd;
    int fd; /* of the lock file; -1 without one */
    char name[128];
};

/*
 * Waits until nobody else has the claim. Where no file can be made in the folder, or none can be
 * locked, there is nothing to claim. Returns 0, or -1 after logging; claim_end() is for both.
 */
int claim_begin(struct claim *claim, const char *path);

void claim_end(struct claim *claim);

#endif
