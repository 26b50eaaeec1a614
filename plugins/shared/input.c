/* SPDX-License-Identifier: BSD-3-Clause */
/* Saves standard input. Owns nothing; main thread, while the server is configured. A leaf. */
#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

int input_check(const char *what)
{
    if (nbdkit_stdio_safe())
        return 0;
    nbdkit_error("script=- reads the %s from standard input, which the client uses (-s): save the "
                 "%s in a file",
                 what, what);
    return -1;
}

/* Copies from one descriptor to the other. Returns 0, or -1 with errno. */
static int copy_all(int from_fd, int to_fd)
{
    char block[65536];
    ssize_t count;

    while ((count = read(from_fd, block, sizeof(block))) > 0)
        for (ssize_t done = 0, written; done < count; done += written) {
            written = write(to_fd, block + done, (size_t)(count - done));
            if (written < 0)
                return -1;
        }
    return count < 0 ? -1 : 0;
}

int input_save(const char *path, const char *what, mode_t mode)
{
    if (input_check(what) < 0)
        return -1;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    int result = fd < 0 ? -1 : copy_all(STDIN_FILENO, fd);
    if (result < 0)
        nbdkit_error("cannot save the %s in %s: %s", what, path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return result;
}
