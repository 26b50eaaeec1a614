/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a source to a shared object, by somebody else's compiler.
 */
#ifndef COMPILE_H
#define COMPILE_H

struct room;

/* What the user says about the compiler: text for the shell to split into words. */
struct compile_command {
    const char *compiler;
    const char *flags;
    const char *extra_flags;
};

/* What is used where the user says nothing. */
extern const struct compile_command compile_defaults;

/*
 * Compiles the file `source` to room->library. What the compiler says goes to
 * standard error. $CPATH tells it where the server's headers are, and $TMPDIR
 * to keep its own files in the room. Returns 0, or -1 after nbdkit_error.
 */
int compile_run(const struct compile_command *command, const char *source, const struct room *room);

#endif
