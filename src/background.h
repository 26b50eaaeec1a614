/* SPDX-License-Identifier: BSD-3-Clause */
/* The server as a process: descriptors 0 to 2, the background. */
#ifndef BACKGROUND_H
#define BACKGROUND_H

/* Opens those of descriptors 0, 1 and 2 that were closed on /dev/null. First of all. */
void background_open_stdio(void);

/*
 * Takes stdin and stdout away from everybody else, who get /dev/null: `*in_fd`
 * and `*out_fd` are then the client's. Returns 0, or -1 after logging.
 */
int background_take_stdio(int *in_fd, int *out_fd);

/*
 * What was read ahead of standard input goes back into it where that can be done (a file), what
 * waits to be written to standard output goes out; then both are /dev/null for whoever is in this
 * process.
 */
void background_leave_stdio(void);

/*
 * Has the server stop when the process that started it ends. Returns 0, or -1
 * after logging. Again after every change of user, which ends it.
 */
int background_watch_parent(void);

/*
 * Forks. The parent waits until the child calls background_ready(), then ends
 * with status 0, or 1 if the child dies before. Returns in the child, in a
 * session of its own, in the root folder: 0, or -1 after logging. Before any
 * thread exists.
 */
int background_enter(void);

/*
 * The server is ready. In the background: lets the parent go, and points
 * descriptor 2 at /dev/null if no messages go there.
 */
void background_ready(void);

#endif
