// SPDX-License-Identifier: BSD-3-Clause
/*
 * Reads the first line of scripts. Owns nothing. Entered by the main thread.
 */
#include "shebang.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"

enum { LINE_MAX_BYTES = 256 }; /* as the kernel has it */
#define BLANKS " \t\r"

/* Reads what follows #!, without the end of the line. Returns false if the file does not begin so.
 */
static bool read_line(const char *path, char line[static LINE_MAX_BYTES + 1])
{
    /* A FIFO is no script, and nobody may ever write to it. */
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    char start[2];

    if (fd < 0 || pread(fd, start, sizeof start, 0) != (ssize_t)sizeof start ||
        memcmp(start, "#!", sizeof start) != 0)
        return false;
    ssize_t length = pread(fd, line, LINE_MAX_BYTES, sizeof start);
    line[length < 0 ? 0 : length] = '\0';
    line[strcspn(line, "\n")] = '\0';
    return true;
}

bool shebang_is_there(const char *path)
{
    char line[LINE_MAX_BYTES + 1];

    return read_line(path, line);
}

/* Takes the next word off *rest; "" if there is none. */
static const char *take_word(char **rest)
{
    char *word = *rest + strspn(*rest, BLANKS);
    size_t length = strcspn(word, BLANKS);

    *rest = word + length;
    if (**rest)
        *(*rest)++ = '\0';
    return word;
}

static bool is_program(const char *word, const char *name)
{
    const char *slash = strrchr(word, '/');

    return strcmp(slash ? slash + 1 : word, name) == 0;
}

char *shebang_read_plugin(const char *path)
{
    char line[LINE_MAX_BYTES + 1];
    char *rest = line;

    if (!read_line(path, line))
        return NULL;
    const char *word = take_word(&rest);
    if (is_program(word, "env"))
        do
            word = take_word(&rest);
        while (*word == '-' || strchr(word, '='));
    if (!is_program(word, "nbdkit") && !is_program(word, "nbdlab"))
        return NULL;
    rest += strspn(rest, BLANKS);
    for (size_t end = strlen(rest); end > 0 && strchr(BLANKS, rest[end - 1]);)
        rest[--end] = '\0';
    return strdup(rest);
}
