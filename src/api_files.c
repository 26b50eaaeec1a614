// SPDX-License-Identifier: BSD-3-Clause
/*
 * The public nbdkit_* functions that read passwords and complete paths.
 * Entered by any thread, mostly the main thread at start-up; calls files and api.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "cleanup.h"
#include "descriptor.h"
#include "files.h"
#define NBDKIT_API_VERSION 2
#include "nbdkit-plugin.h"
#include "quit.h"

/* A limit, so that password=+/dev/zero ends. */
enum { PASSWORD_MAX_BYTES = 1024 * 1024 };

/*
 * Waits for something to read. Returns false once the server is to stop: a
 * signal that comes just before a read would not end it.
 */
static bool await_input(FILE *file)
{
    struct pollfd fds[] = { { .fd = fileno(file), .events = POLLIN },
                            { .fd = quit_get_fd(), .events = POLLIN } };

    while (poll(fds, 2, -1) < 0 && errno == EINTR)
        continue;
    if (!fds[1].revents)
        return true;
    errno = EINTR;
    return false;
}

/* Reads one line without its newline. Returns it, to be freed, or NULL after logging. */
static char *read_line(const char *from, FILE *file)
{
    char *line = malloc(PASSWORD_MAX_BYTES + 1);
    bool is_stopped = false;
    size_t length = 0;
    int c = EOF;

    /* Byte by byte: a buffer would have the next read wait where no signal ends it. */
    setvbuf(file, NULL, _IONBF, 0);
    while (line && length <= PASSWORD_MAX_BYTES && !(is_stopped = !await_input(file)) &&
           (c = getc(file)) != EOF && c != '\n')
        line[length++] = (char)c;
    if (!line || is_stopped || ferror(file)) {
        nbdkit_error("cannot read a password from %s: %m", from);
        free(line);
        return NULL;
    }
    /* An empty file is an empty password. */
    if (length <= PASSWORD_MAX_BYTES) {
        line[length] = '\0';
        return line;
    }
    nbdkit_error("the password in %s is longer than %d bytes", from, PASSWORD_MAX_BYTES);
    free(line);
    errno = EFBIG;
    return NULL;
}

/* The same from a descriptor, which it closes. */
static char *read_line_of(const char *from, int fd)
{
    FILE *file = fdopen(fd, "r");

    if (!file) {
        nbdkit_error("cannot read a password from %s: %m", from);
        close(fd);
        return NULL;
    }
    char *line = read_line(from, file);
    int error = errno;
    fclose(file);
    errno = error;
    return line;
}

static char *read_from_terminal(void)
{
    struct termios saved;

    if (!nbdkit_stdio_safe() || tcgetattr(STDIN_FILENO, &saved) < 0) {
        nbdkit_error("password - is read from a terminal, but standard input is none; use +FILE or "
                     "-FD, the number of an open file descriptor");
        errno = ENOTTY;
        return NULL;
    }
    struct termios silent = saved;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    printf("password: ");
    fflush(stdout);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    char *line = read_line_of("the terminal", fd);
    int error = errno;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &saved);
    putchar('\n');
    fflush(stdout);
    errno = error;
    return line;
}

static char *refuse_descriptor(const char *number, const char *why, int error)
{
    nbdkit_error("password -%s: %s", number, why);
    errno = error;
    return NULL;
}

static char *read_from_descriptor(const char *number)
{
    char from[64];
    int fd;

    if (nbdkit_parse_int("password -FD", number, &fd) < 0)
        return NULL;
    if (fd <= STDERR_FILENO)
        return refuse_descriptor(number,
                                 "the descriptor must be 3 or more, because it is closed "
                                 "when the password is read",
                                 EINVAL);
    if (!descriptor_is_inherited(fd))
        return refuse_descriptor(number,
                                 "no descriptor of this number is open; open it when the "
                                 "program is started, as in 'nbdlab ... 9<FILE'",
                                 EBADF);
    snprintf(from, sizeof from, "file descriptor %d", fd);
    return read_line_of(from, fd);
}

static char *read_from_file(const char *path)
{
    int fd = files_open_to_read(path);

    if (fd >= 0)
        return read_line_of(path, fd);
    int error = errno;
    nbdkit_error("cannot read a password from %s: %s", *path ? path : "a file without a name",
                 files_explain(error));
    errno = error;
    return NULL;
}

static char *find_password(const char *value)
{
    if (strcmp(value, "-") == 0)
        return read_from_terminal();
    if (*value == '-')
        return read_from_descriptor(value + 1);
    if (*value == '+')
        return read_from_file(value + 1);
    char *copy = strdup(value);
    if (!copy)
        nbdkit_error("cannot keep a password: %m");
    return copy;
}

int nbdkit_read_password(const char *value, char **password)
{
    *password = find_password(value);
    return *password ? 0 : -1;
}

static char *refuse_empty_path(void)
{
    nbdkit_error("a path is empty, but a file must have a name");
    errno = EINVAL;
    return NULL;
}

char *nbdkit_absolute_path(const char *path)
{
    CLEANUP_FREE char *folder = NULL;
    char *absolute;

    if (!path || !*path)
        return refuse_empty_path();
    if (*path == '/')
        return strdup(path);
    folder = getcwd(NULL, 0);
    if (!folder || asprintf(&absolute, "%s/%s", folder, path) < 0) {
        nbdkit_error("cannot make the path %s absolute: %m", path);
        return NULL;
    }
    return absolute;
}

char *nbdkit_realpath(const char *path)
{
    char *real;

    if (!path || !*path)
        return refuse_empty_path();
    real = realpath(path, NULL);
    if (!real)
        nbdkit_error("%s: %m", path);
    return real;
}
