// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns the names of the program and its messages, the log level and where messages go. Entered by
 * every thread; calls sink, files and utf8.
 */
#include "log.h"

#include <errno.h>
#include <paths.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "files.h"
#include "sink.h"
#include "utf8.h"

static const char *program_name = "nbdlab";
static const char *message_name = "nbdlab";
static bool verbose;
/* Atomic: threads of the plugin may log while the start ends. */
static atomic_bool is_starting = true; /* stderr is a sink too */
static bool is_default = true;         /* stderr, or syslog in the background */
static atomic_bool has_stderr;
static atomic_bool has_syslog;
static atomic_bool has_file;
static _Thread_local char thread_context[64];

static void put_to_syslog(const struct sink_message *message);
static struct sink_message *make_report(struct sink *sink, unsigned long lost);

enum { FATAL_MAX = 512 };
enum { TO_STDERR, TO_SYSLOG, TO_FILE, DESTINATIONS };
static struct sink sinks[DESTINATIONS] = {
    [TO_STDERR] = SINK_INITIALIZER(STDERR_FILENO, NULL, make_report),
    [TO_SYSLOG] = SINK_INITIALIZER(-1, put_to_syslog, make_report),
    [TO_FILE] = SINK_INITIALIZER(-1, NULL, make_report),
};

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
    sinks[TO_FILE].fd = files_open_to_append(destination);
    has_file = sinks[TO_FILE].fd >= 0;
    if (has_file)
        return 0;
    log_error("--log: cannot write to %s: %s", destination, files_explain(errno));
    return -1;
}

/* Is anybody there to whom syslog(3) could send? */
static bool has_system_log(void)
{
    static const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = _PATH_LOG };
    static const int types[] = { SOCK_DGRAM, SOCK_STREAM };

    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        CLEANUP_CLOSE int fd = socket(AF_UNIX, types[i] | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
            return true;
    }
    return false;
}

/* Would nobody wait in vain for the end of stderr, as whoever reads a pipe does? */
static bool may_keep_stderr(void)
{
    struct stat status;

    return verbose || isatty(STDERR_FILENO) ||
           (fstat(STDERR_FILENO, &status) == 0 && S_ISREG(status.st_mode));
}

bool log_end_start(bool is_background)
{
    if (is_default && is_background)
        use_syslog();
    else if (is_default)
        has_stderr = true;
    if (has_syslog && !has_system_log()) {
        has_stderr = !is_background || may_keep_stderr();
        if (!has_stderr)
            log_warning("there is no system log (" _PATH_LOG "), so that what the server says in "
                        "the background is lost: --log=FILE keeps it");
    }
    is_starting = false;
    sink_allow_threads(sinks, DESTINATIONS);
    return has_stderr || verbose;
}

void log_finish(void)
{
    for (int i = 0; i < DESTINATIONS; i++)
        sink_finish(&sinks[i]);
}

void log_forget(void)
{
    has_stderr = true;
    has_syslog = has_file = false;
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

/* Takes the next line that is not empty off `*text`. Returns it, not ended, or NULL. */
static const char *take_line(const char **text, int *length)
{
    const char *line = *text + strspn(*text, "\n");

    *length = (int)strcspn(line, "\n");
    *text = line + *length;
    return *length ? line : NULL;
}

/* A file has no clock of its own. */
static void print_time(char *out, size_t size)
{
    time_t now = time(NULL);
    struct tm parts;

    strftime(out, size, "%Y-%m-%dT%H:%M:%SZ ", gmtime_r(&now, &parts));
}

/* Each line of a message gets the head of its own: no text can forge a message. */
static void print_lines(FILE *out, int destination, const char *text, const char *level)
{
    char time[32] = "";
    const char *line;
    int length;

    if (destination == TO_FILE)
        print_time(time, sizeof time);
    while ((line = take_line(&text, &length))) {
        if (destination != TO_SYSLOG)
            fprintf(out, "%s%s: ", time, message_name);
        fprintf(out, "%s%s", thread_context, *thread_context ? ": " : "");
        if (destination != TO_SYSLOG)
            fprintf(out, "%s: ", level);
        fprintf(out, "%.*s\n", length, line);
    }
}

/* Returns NULL where there is no memory, or nothing to be said. */
static struct sink_message *make_message(int destination, const char *text, const char *level)
{
    struct sink_message *message = calloc(1, sizeof *message);
    FILE *out = message ? open_memstream(&message->text, &message->length) : NULL;

    if (out)
        print_lines(out, destination, text, level);
    if (out && fclose(out) == 0 && message->length > 0) {
        message->priority = *level == 'e' ? LOG_ERR : LOG_WARNING;
        return message;
    }
    if (message)
        sink_free_message(message);
    return NULL;
}

static struct sink_message *make_report(struct sink *sink, unsigned long lost)
{
    char text[128];

    snprintf(text, sizeof text, "%lu message%s lost: nobody took them, or not in time", lost,
             lost == 1 ? " was" : "s were");
    return make_message((int)(sink - sinks), text, "warning");
}

static void put_to_syslog(const struct sink_message *message)
{
    const char *text = message->text;
    const char *line;
    int length;

    while ((line = take_line(&text, &length)))
        syslog(message->priority, "%.*s", length, line);
}

static void write_to(int destination, const char *text, const char *level)
{
    struct sink_message *message = make_message(destination, text, level);

    if (message)
        sink_write(&sinks[destination], message);
}

static void log_message(const char *level, const char *format, va_list args)
{
    int saved_errno = errno;
    bool is_debug = *level == 'd';
    char *text;

    if (vasprintf(&text, format, args) >= 0) {
        utf8_neutralise(text);
        if (is_debug || is_starting || has_stderr)
            write_to(TO_STDERR, text, level);
        if (!is_debug && has_syslog)
            write_to(TO_SYSLOG, text, level);
        if (!is_debug && has_file)
            write_to(TO_FILE, text, level);
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

/* Appends to a text that is cut where it does not fit. */
static void append(char out[static FATAL_MAX], const char *text)
{
    size_t used = strlen(out);
    size_t length = strnlen(text, FATAL_MAX - 1 - used);

    memcpy(out + used, text, length);
    out[used + length] = '\0';
}

static void write_at_once(int fd, const char *text)
{
    struct pollfd room = { .fd = fd, .events = POLLOUT };

    if (poll(&room, 1, 0) == 1 && write(fd, text, strlen(text)) < 0) {
        /* Nobody is left to tell. */
    }
}

/* What syslog(3) sends, which may lock. */
static void send_to_syslog(const char *text)
{
    const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = _PATH_LOG };
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    char message[FATAL_MAX] = "<27>"; /* LOG_DAEMON | LOG_ERR */

    _Static_assert((LOG_DAEMON | LOG_ERR) == 27, "the number in the message");
    append(message, text);
    if (fd < 0)
        return;
    sendto(fd, message, strlen(message), MSG_NOSIGNAL, (const struct sockaddr *)&address,
           sizeof address);
    close(fd);
}

void log_fatal(const char *const *parts)
{
    char text[FATAL_MAX] = "";

    append(text, message_name);
    append(text, ": ");
    append(text, thread_context);
    append(text, *thread_context ? ": error: " : "error: ");
    for (; *parts; parts++)
        append(text, *parts);
    if (has_syslog)
        send_to_syslog(text);
    append(text, "\n");
    if (is_starting || has_stderr)
        write_at_once(STDERR_FILENO, text);
    if (has_file)
        write_at_once(sinks[TO_FILE].fd, text);
}

const char *log_quote(char out[static LOG_QUOTED_MAX], const char *text)
{
    size_t used = 0;

    out[used++] = '"';
    while (*text) {
        size_t length = utf8_get_shown_length(text);
        if (used + sizeof "\\xff...\"" > LOG_QUOTED_MAX) {
            used += (size_t)sprintf(out + used, "...");
            break;
        }
        if (*text == '"' || *text == '\\')
            out[used++] = '\\';
        if (length > 0)
            memcpy(out + used, text, length);
        else
            sprintf(out + used, "\\x%02x", (unsigned char)*text);
        used += length > 0 ? length : strlen("\\xff");
        text += length > 0 ? length : 1;
    }
    out[used++] = '"';
    out[used] = '\0';
    return out;
}
