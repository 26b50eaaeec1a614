/* SPDX-License-Identifier: BSD-3-Clause */
/* The first line of a script, #!INTERPRETER. */
#ifndef SHEBANG_H
#define SHEBANG_H

#include <stdbool.h>

/* Does the file begin with #! ? Any thread. */
bool shebang_is_there(const char *path);

/*
 * The plugin that the first line names, "python" in "#!/usr/bin/nbdkit python"
 * and in "#!/usr/bin/env -S nbdlab python", with all that follows it on the
 * line; free(3) it. NULL if the interpreter is another program, or none.
 */
char *shebang_read_plugin(const char *path);

#endif
