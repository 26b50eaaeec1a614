/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Looks at a script before it is run. Owns what was seen of the #! line last.
 * Entered by the thread that configures the server, and by the pool under its
 * lock. Calls shell and nbdkit_error.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "cleanup.h"
#include "noexec.h"
#include "script.h"

#define TEXT_MAX (256 * 1024) /* bytes of a script whose text is looked at */
#define BYTE_ORDER_MARK "\xef\xbb\xbf"
#define HEAD_MAX 256 /* bytes; the kernel looks for the interpreter in as many */

/* Reads up to `size` bytes of the file's beginning. Returns their number, or -1. */
static ssize_t read_beginning(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -1;
    ssize_t length = read(fd, text, size);
    close(fd);
    text[length < 0 ? 0 : length] = '\0';
    return length;
}

/* line begins with "#!" and is cut to its interpreter. Returns 0 or -1. */
static int check_interpreter(const char *path, char *line)
{
    char *interpreter = line + 2 + strspn(line + 2, " \t");

    interpreter[strcspn(interpreter, " \t")] = '\0';
    if (access(interpreter, X_OK) == 0)
        return 0;
    bool is_noexec = errno == EACCES && noexec_holds(interpreter);
    nbdkit_error("%s: line 1 names the interpreter '%.200s': %s: install it%s, or correct the line",
                 path, interpreter, strerror(errno),
                 is_noexec ? " on a file system that is not mounted noexec" : "");
    return -1;
}

/* What else a file with this ending may be meant for: the end of a message. */
static const char *get_other_plugin(const char *path)
{
    const char *dot = strrchr(path, '.');

    if (dot && strcmp(dot, ".c") == 0)
        return ", or, if it is a plugin in C, put cc in the place of sh";
    if (dot && strcmp(dot, ".py") == 0)
        return ", or, if it is a plugin in Python, put python in the place of sh";
    return "";
}

/* Why a file that cannot be run cannot be. It was saved by us where its name is another. */
static int refuse_mode(const char *path, const char *name, mode_t mode)
{
    bool is_ours = strcmp(path, name) != 0;

    if (!(mode & (S_IXUSR | S_IXGRP | S_IXOTH)))
        nbdkit_error("%s: not executable: run 'chmod +x %s'%s", path, path, get_other_plugin(path));
    else if (!noexec_holds(path))
        nbdkit_error("%s: executable, but not for this user: let its owner run 'chmod a+rx %s'",
                     path, path);
    else
        nbdkit_error("%s: no program can be run from %s, which is mounted with the option noexec: "
                     "%s",
                     name, is_ours ? "the folder for temporary files" : "this file system",
                     is_ours ? "set TMPDIR to another folder" : "copy the script to another one");
    return -1;
}

static int check_type(const char *path, const char *name)
{
    struct stat status;

    if (!*path) {
        nbdkit_error("the name of the script is empty: give its path (an unset variable of a "
                     "shell?)");
        return -1;
    }
    if (stat(path, &status) < 0) {
        nbdkit_error("%s: %s: give the path of the script", path, strerror(errno));
        return -1;
    }
    if (!S_ISREG(status.st_mode)) {
        nbdkit_error("%s: this is %s, not a script: give the path of the script", path,
                     S_ISDIR(status.st_mode) ? "a directory" : "not a regular file");
        return -1;
    }
    return access(path, X_OK) < 0 ? refuse_mode(path, name, status.st_mode) : 0;
}

int script_check_file(const char *path, const char *name, bool *needs_shell)
{
    char head[HEAD_MAX + 1];

    *needs_shell = false;
    if (check_type(path, name) < 0)
        return -1;
    ssize_t length = read_beginning(path, head, HEAD_MAX);
    /* A program need not be readable, nor text. */
    if (length < 0 || memchr(head, '\0', (size_t)length) != NULL)
        return 0;
    size_t end = strcspn(head, "\n");
    if (end > 0 && head[end] == '\n' && head[end - 1] == '\r') {
        nbdkit_error("%s: line 1 ends with a carriage return, as in Windows: run "
                     "\"sed -i 's/\\r$//' %s\"",
                     name, strcmp(path, name) == 0 ? path : "FILE");
        return -1;
    }
    head[end] = '\0';
    if (strncmp(head, BYTE_ORDER_MARK "#!", strlen(BYTE_ORDER_MARK "#!")) == 0) {
        nbdkit_error("%s: line 1 begins with a byte order mark, as in Windows, so that it names no "
                     "interpreter: run \"LC_ALL=C sed -i '1s/^...//' %s\"",
                     name, strcmp(path, name) == 0 ? path : "FILE");
        return -1;
    }
    if (strncmp(head, "#!", 2) == 0)
        return check_interpreter(path, head);
    *needs_shell = true;
    return 0;
}

/* What tells that a file is another one, or was changed. */
static bool is_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static enum program_fitness read_shell(const char *path, const struct stat *status,
                                       struct shell *shell)
{
    char head[HEAD_MAX + 1];

    if (!S_ISREG(status->st_mode) || access(path, X_OK) < 0)
        return PROGRAM_INVALID;
    if (read_beginning(path, head, HEAD_MAX) < 0)
        return PROGRAM_OTHER;
    head[strcspn(head, "\n")] = '\0';
    if (strncmp(head, "#!", 2) != 0)
        return PROGRAM_OTHER;
    return shell_read_line(head, shell) == 0 ? PROGRAM_FIT : PROGRAM_OTHER;
}

enum program_fitness script_find_shell(const char *path, struct shell *shell)
{
    static struct stat seen; /* st_ino 0: nothing yet */
    static enum program_fitness fitness;
    static struct shell found;
    struct stat status;

    if (stat(path, &status) < 0)
        return PROGRAM_INVALID;
    if (seen.st_ino == 0 || !is_same_file(&seen, &status)) {
        fitness = read_shell(path, &status, &found);
        seen = status;
    }
    *shell = found;
    return fitness;
}

char *script_read_text(const char *path, bool needs_shell)
{
    struct shell shell;
    char *text = NULL;

    if (!needs_shell && script_find_shell(path, &shell) != PROGRAM_FIT)
        return NULL;
    text = malloc(TEXT_MAX + 1);
    if (!text)
        return NULL;
    ssize_t length = read_beginning(path, text, TEXT_MAX);
    if (length >= 0 && length < TEXT_MAX && !memchr(text, '\0', (size_t)length))
        return text;
    free(text);
    return NULL;
}
