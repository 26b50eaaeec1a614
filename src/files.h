/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Files that the command line names, opened with care: nothing here waits for the other end of a
 * FIFO, or goes where another user points.
 */
#ifndef FILES_H
#define FILES_H

#include <stdbool.h>

/* As strerror(3), or why an open below says no where there is more to say. For the message. */
const char *files_explain(int error);

/* Opens the folder that `path` is in, and finds the name in it. Returns it, or -1 with errno. */
int files_open_folder(const char *path, const char **name);

/*
 * Opens a file to read it. A FIFO is waited for a moment: with nobody to write to it, that is an
 * error. Returns the descriptor, or -1 with errno for files_explain().
 */
int files_open_to_read(const char *path);

/*
 * Opens a file to append to it, and makes it if there is none, for its owner and its group. Where
 * others may write to the folder, a symbolic link or a file that has another name is an error.
 * Nothing blocks with the descriptor. Returns it, or -1 with errno for files_explain().
 */
int files_open_to_append(const char *path);

#endif
