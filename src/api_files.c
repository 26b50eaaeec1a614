// SPDX-License-Identifier: BSD-3-Clause
/*
 * The public nbdkit_* functions that read passwords and complete paths.
 * Entered by any thread, mostly the main thread at start-up; calls log.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "cleanup.h"
#include "log.h"
#define NBDKIT_API_VERSION 2
#include "nbdkit-plugin.h"

/* Reads one line without its newline. Takes over fd. Returns 0, or -1 after logging. */
static int read_line(const char *from, int fd, char **password)
{
    FILE *file = fdopen(fd, "r");
    char *line = NULL;
    size_t capacity = 0;

    if (!file) {
        log_error("password: %s: %m", from);
        close(fd);
        return -1;
    }
    errno = 0;
    ssize_t length = getline(&line, &capacity, file);
    /* An empty file is an empty password; an error is not. */
    if (length < 0 && errno != 0) {
        log_error("password: cannot read it from %s: %m", from);
        free(line);
        fclose(file);
        return -1;
    }
    fclose(file);
    if (length > 0 && line[length - 1] == '\n')
        line[length - 1] = '\0';
    *password = length < 0 ? strdup("") : line;
    if (length < 0)
        free(line);
    return *password ? 0 : -1;
}

static int read_from_terminal(char **password)
{
    struct termios saved;

    if (!nbdkit_stdio_safe() || tcgetattr(STDIN_FILENO, &saved) < 0) {
        log_error("password=- reads from a terminal, but standard input is none; "
                  "use password=+FILE or password=-FD");
        return -1;
    }
    struct termios silent = saved;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    printf("password: ");
    fflush(stdout);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int result = fd < 0 ? -1 : read_line("the terminal", fd, password);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &saved);
    putchar('\n');
    fflush(stdout);
    return result;
}

static int read_from_descriptor(const char *number, char **password)
{
    int fd;

    if (nbdkit_parse_int("password=-FD", number, &fd) < 0)
        return -1;
    if (fd > STDERR_FILENO)
        return read_line("the file descriptor", fd, password);
    log_error("password=-%s: standard input, output and error cannot be used", number);
    return -1;
}

static int read_from_file(const char *path, char **password)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd >= 0)
        return read_line(path, fd, password);
    log_error("password=+%s: %m", path);
    return -1;
}

int nbdkit_read_password(const char *value, char **password)
{
    *password = NULL;
    if (strcmp(value, "-") == 0)
        return read_from_terminal(password);
    if (*value == '-')
        return read_from_descriptor(value + 1, password);
    if (*value == '+')
        return read_from_file(value + 1, password);
    *password = strdup(value);
    return *password ? 0 : -1;
}

char *nbdkit_absolute_path(const char *path)
{
    CLEANUP_FREE char *folder = NULL;
    char *absolute;

    if (!path || !*path) {
        log_error("a path is empty, but a file must have a name");
        errno = EINVAL;
        return NULL;
    }
    if (*path == '/')
        return strdup(path);
    folder = getcwd(NULL, 0);
    if (!folder || asprintf(&absolute, "%s/%s", folder, path) < 0) {
        log_error("cannot make the path %s absolute: %m", path);
        return NULL;
    }
    return absolute;
}

char *nbdkit_realpath(const char *path)
{
    char *real;

    if (!path || !*path) {
        log_error("a path is empty, but a file must have a name");
        errno = EINVAL;
        return NULL;
    }
    real = realpath(path, NULL);
    if (!real)
        log_error("%s: %m", path);
    return real;
}
