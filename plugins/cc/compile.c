/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Makes the compiler's command line. Owns nothing. Entered by the thread that
 * configures the server; calls room, shell, text and nbdkit_error.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "compile.h"
#include "room.h"
#include "shell.h"
#include "text.h"

const struct compile_command compile_defaults = {
    .compiler = COMPILER,
    .flags = "-g -O2 -fPIC -shared",
    .extra_flags = "",
};

static int check_source(const char *source)
{
    struct stat status;

    if (stat(source, &status) < 0 || access(source, R_OK) < 0) {
        nbdkit_error("%s: %s: give the path of the source", source, strerror(errno));
        return -1;
    }
    if (S_ISDIR(status.st_mode)) {
        nbdkit_error("%s: this is a directory, not a source", source);
        return -1;
    }
    return 0;
}

/* The build tree has its headers beside the folder of plugins; free(3) the result. */
static char *find_headers(void)
{
    Dl_info own;
    const char *slash;

    if (dladdr(&compile_defaults, &own) == 0 || !(slash = strrchr(own.dli_fname, '/')))
        return strdup(INCLUDE_FOLDER);
    char *folder = text_format("%.*s/../include", (int)(slash - own.dli_fname), own.dli_fname);
    if (!folder || access(folder, X_OK) == 0)
        return folder;
    free(folder);
    return strdup(INCLUDE_FOLDER);
}

/* An end of line in the flags, which would end the command, only parts two of them. */
static char *join(const struct compile_command *command)
{
    const char *extra = command->extra_flags;
    char *words =
        text_format("%s %s%s%s", command->compiler, command->flags, *extra ? " " : "", extra);

    for (char *c = words; c && *c; c++)
        if (*c == '\n')
            *c = ' ';
    return words;
}

/* A shell says of a command that a signal ended it by a status above 128. */
static int find_signal(int status)
{
    if (WIFSIGNALED(status))
        return WTERMSIG(status);
    return WEXITSTATUS(status) > 128 ? WEXITSTATUS(status) - 128 : 0;
}

/* Says why there is no library. Returns -1, or 0 where there is one. */
static int judge(int status, const char *compiler, const char *shown, const struct room *room)
{
    int code = WEXITSTATUS(status);

    if (status == -1)
        return -1;
    if (find_signal(status) != 0)
        nbdkit_error("the compiler was ended by signal %d: %s", find_signal(status), shown);
    else if (code == 126 || code == 127)
        nbdkit_error("cannot run the compiler '%s': install it (a C compiler is in Debian's "
                     "packages gcc and libc6-dev), or name another one with CC=COMMAND",
                     compiler);
    else if (code != 0)
        nbdkit_error("the compiler failed with status %d: %s", code, shown);
    else if (access(room->library, R_OK) < 0)
        nbdkit_error("the compiler succeeded, but did not write the file that -o names: %s", shown);
    else
        return 0;
    return -1;
}

int compile_run(const struct compile_command *command, const char *source, const struct room *room)
{
    /* To a compiler, "-" begins an option, and "@" names a file with more of them. */
    const char *here = *source == '-' || *source == '@' ? "./" : "";

    if (check_source(source) < 0)
        return -1;
    CLEANUP_FREE char *headers = find_headers();
    CLEANUP_FREE char *words = join(command);
    CLEANUP_FREE char *path = text_format("%s%s", here, source);
    if (!headers || !words || !path)
        return -1;
    CLEANUP_FREE char *shown = text_format("%s %s", words, path);
    CLEANUP_FREE char *script = text_format(
        "export CPATH=\"${CPATH:+$CPATH:}$3\" TMPDIR=\"$4\"\n%s \"$1\" -o \"$2\"", words);
    if (!shown || !script)
        return -1;
    nbdkit_debug("compiling: %s", shown);
    const char *const arguments[] = { path, room->library, headers, room->folder, NULL };
    return judge(shell_run(script, arguments), command->compiler, shown, room);
}
