// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns the names of the program and its messages, the log level and where messages go. Entered by
 * every thread; calls nothing of ours.
 */
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

static const char *program_name = "nbdlab";
static const char *message_name = "nbdlab";
static bool verbose;
/* Atomic: threads of the plugin may log while the start ends. */
static atomic_bool is_starting = true; /* stderr is a sink too */
static bool is_default = true;         /* stderr, or syslog in the background */
static atomic_bool has_stderr;
static atomic_bool has_syslog;
static int file_fd = -1;
static _Thread_local char thread_context[64];

void log_init(const char *program)
{
    const char *slash = strrchr(program, '/');

    program_name = slash ? slash + 1 : program;
    message_name = program_name;
}

const char *log_get_program(void)
{
    return program_name;
}

void log_set_name(const char *name)
{
    message_name = name;
}

bool log_is_destination(const char *text)
{
    return *text == '/' || strcmp(text, "default") == 0 || strcmp(text, "null") == 0 ||
           strcmp(text, "stderr") == 0 || strcmp(text, "syslog") == 0;
}

static void use_syslog(void)
{
    openlog(message_name, LOG_PID, LOG_DAEMON);
    has_syslog = true;
}

int log_open(const char *destination)
{
    is_default = strcmp(destination, "default") == 0;
    has_stderr = strcmp(destination, "stderr") == 0;
    if (strcmp(destination, "syslog") == 0)
        use_syslog();
    if (*destination != '/')
        return 0;
    file_fd = open(destination, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    if (file_fd >= 0)
        return 0;
    log_error("--log: cannot write to %s: %m", destination);
    return -1;
}

bool log_end_start(bool is_background)
{
    if (is_default && is_background)
        use_syslog();
    else if (is_default)
        has_stderr = true;
    is_starting = false;
    return has_stderr || verbose;
}

void log_forget(void)
{
    has_stderr = true;
    has_syslog = false;
    file_fd = -1;
}

void log_set_verbose(bool is_verbose)
{
    verbose = is_verbose;
}

bool log_is_verbose(void)
{
    return verbose;
}

void log_set_context(const char *context)
{
    snprintf(thread_context, sizeof thread_context, "%s", context);
}

/* A control character in a message could drive a terminal. */
static void neutralise(char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if ((c < ' ' && c != '\n' && c != '\t') || c == 0x7f)
            *text = '?';
    }
}

/* Takes the next line that is not empty off `*text`. Returns it, not ended, or NULL. */
static const char *take_line(const char **text, int *length)
{
    const char *line = *text + strspn(*text, "\n");

    *length = (int)strcspn(line, "\n");
    *text = line + *length;
    return *length ? line : NULL;
}

static void write_to_syslog(const char *text, const char *level)
{
    int priority = *level == 'e' ? LOG_ERR : LOG_WARNING;
    const char *line;
    int length;

    while ((line = take_line(&text, &length)))
        syslog(priority, "%s%s%.*s", thread_context, *thread_context ? ": " : "", length, line);
}

/* Each line of a message gets the head of its own: no text can forge a message. */
static void write_lines(FILE *out, const char *text, const char *level, const char *time)
{
    const char *line;
    int length;

    while ((line = take_line(&text, &length)))
        fprintf(out, "%s%s: %s%s%s: %.*s\n", time, message_name, thread_context,
                *thread_context ? ": " : "", level, length, line);
}

/* All lines by one write(2): those of other threads do not get in between. */
static void write_to_fd(int fd, const char *text, const char *level, const char *time)
{
    char *all = NULL;
    size_t length;
    FILE *out = open_memstream(&all, &length);

    if (!out)
        return;
    write_lines(out, text, level, time);
    if (fclose(out) == 0 && write(fd, all, length) < 0) {
        /* Nobody is left to tell. */
    }
    free(all);
}

/* A file has no clock of its own. */
static void write_to_file(const char *text, const char *level)
{
    time_t now = time(NULL);
    struct tm parts;
    char written[32];

    strftime(written, sizeof written, "%Y-%m-%dT%H:%M:%SZ ", gmtime_r(&now, &parts));
    write_to_fd(file_fd, text, level, written);
}

static void log_message(const char *level, const char *format, va_list args)
{
    int saved_errno = errno;
    bool is_debug = *level == 'd';
    char *text;

    if (vasprintf(&text, format, args) >= 0) {
        neutralise(text);
        if (is_debug || is_starting || has_stderr)
            write_to_fd(STDERR_FILENO, text, level, "");
        if (!is_debug && has_syslog)
            write_to_syslog(text, level);
        if (!is_debug && file_fd >= 0)
            write_to_file(text, level);
        free(text);
    }
    errno = saved_errno;
}

void log_verror(const char *format, va_list args)
{
    log_message("error", format, args);
}

void log_error(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_verror(format, args);
    va_end(args);
}

void log_warning(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_message("warning", format, args);
    va_end(args);
}

void log_vdebug(const char *format, va_list args)
{
    if (verbose)
        log_message("debug", format, args);
}

void log_debug(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_vdebug(format, args);
    va_end(args);
}

const char *log_quote(char out[static LOG_QUOTED_MAX], const char *text)
{
    size_t used = 0;

    out[used++] = '"';
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (used + sizeof "\\xff...\"" > LOG_QUOTED_MAX) {
            used += (size_t)sprintf(out + used, "...");
            break;
        }
        if (c == '"' || c == '\\')
            used += (size_t)sprintf(out + used, "\\%c", c);
        else if (c < ' ' || c > '~')
            used += (size_t)sprintf(out + used, "\\x%02x", c);
        else
            out[used++] = (char)c;
    }
    out[used++] = '"';
    out[used] = '\0';
    return out;
}
