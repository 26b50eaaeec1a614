// SPDX-License-Identifier: BSD-3-Clause
/*
 * Reads parameters. Owns nothing. Entered by the main thread; calls files, log
 * and the API's strings.
 */
#include "argfile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "files.h"
#include "log.h"
#define NBDKIT_API_VERSION 2
#include "nbdkit-plugin.h"

/* `line` has `length` bytes and a NUL after them. Returns 0, or -1 after logging. */
static int use_line(char *line, size_t length, int (*use)(const char *parameter))
{
    while (length > 0 && strchr("\r\n", line[length - 1]))
        line[--length] = '\0';
    if (strlen(line) != length) {
        log_error("a parameter cannot contain a NUL byte");
        return -1;
    }
    line += strspn(line, " \t\f\v\r");
    if (*line == '\0' || *line == '#')
        return 0;
    const char *kept = nbdkit_strdup_intern(line);
    return kept ? use(kept) : -1;
}

bool argfile_exists(const char *path)
{
    struct stat status;

    if (stat(path, &status) < 0)
        return false;
    errno = EISDIR;
    return !S_ISDIR(status.st_mode);
}

int argfile_read(const char *path, int (*use)(const char *parameter))
{
    int fd = files_open_to_read(path);
    FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
    CLEANUP_FREE char *line = NULL;
    size_t size = 0;
    ssize_t length;
    unsigned number = 0;
    int result = 0;

    if (!file) {
        log_error("cannot read parameters from @%s: %s", path, files_explain(errno));
        return -1;
    }
    while (result == 0 && (length = getline(&line, &size, file)) >= 0) {
        number++;
        result = use_line(line, (size_t)length, use);
        if (result < 0)
            log_error("@%s: in line %u", path, number);
    }
    if (result == 0 && ferror(file)) {
        log_error("cannot read parameters from @%s: %m", path);
        result = -1;
    }
    fclose(file);
    return result;
}
