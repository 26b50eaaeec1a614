// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns the program's name, the log level and where messages go. Entered by
 * every thread; calls nothing of ours.
 */
#include "log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

static const char *program_name = "nbdlab";
static bool verbose;
static enum log_sink current_sink = LOG_STDERR;
static _Thread_local char thread_context[64];

void log_init(const char *program)
{
    const char *slash = strrchr(program, '/');

    program_name = slash ? slash + 1 : program;
}

const char *log_get_program(void)
{
    return program_name;
}

void log_set_sink(enum log_sink sink)
{
    if (sink == LOG_SYSLOG)
        openlog(program_name, LOG_PID, LOG_DAEMON);
    current_sink = sink;
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

static void write_to_stderr(const char *line)
{
    if (write(STDERR_FILENO, line, strlen(line)) < 0) {
        /* Nobody is left to tell. */
    }
}

static void write_to_syslog(const char *text, const char *level)
{
    int priority = *level == 'e' ? LOG_ERR : *level == 'w' ? LOG_WARNING : LOG_DEBUG;

    syslog(priority, "%s%s%s", thread_context, *thread_context ? ": " : "", text);
}

/* Each line of a message gets the head of its own: no text can forge a message. */
static void write_lines(char *text, const char *level)
{
    char *all = NULL;
    size_t length;
    FILE *out = open_memstream(&all, &length);
    char *rest = text;

    while (out && rest) {
        char *line = strsep(&rest, "\n");
        if (*line == '\0' && line != text)
            continue;
        if (current_sink == LOG_SYSLOG)
            write_to_syslog(line, level);
        else
            fprintf(out, "%s: %s%s%s: %s\n", program_name, thread_context,
                    *thread_context ? ": " : "", level, line);
    }
    if (out && fclose(out) == 0)
        write_to_stderr(all);
    free(all);
}

static void log_message(const char *level, const char *format, va_list args)
{
    int saved_errno = errno;
    char *text;

    if (vasprintf(&text, format, args) >= 0) {
        neutralise(text);
        write_lines(text, level);
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
