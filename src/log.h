/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages: "NAME: error: TEXT", from a connection's thread
 * "NAME: PLUGIN[N]: error: TEXT". Each line of a TEXT of several gets
 * that head; one write per message, so that those of several threads never mix. What may not be
 * shown on a terminal (utf8.h) is '?'. Nobody waits for a reader of the log for more than half a
 * second (sink.h). Every function preserves errno, and %m works.
 */
#ifndef LOG_H
#define LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* Names the program in messages; `program` (argv[0]) must stay valid. Main thread, first. */
void log_init(const char *program);

/* The name that log_init() took from argv[0]: its last component. */
const char *log_get_program(void);

/* What messages begin with in place of the program's name; must stay valid. Main thread. */
void log_set_name(const char *name);

/* Is it a destination for log_open()? */
bool log_is_destination(const char *text);

/*
 * Where errors and warnings go: stderr, syslog, null, default (stderr, and
 * syslog in the background) or the absolute path of a file, to which they are
 * appended. Until log_end_start() they go to stderr as well. Returns 0, or -1
 * after logging. Main thread, before other threads exist.
 */
int log_open(const char *destination);

/*
 * The server serves, and whoever started it looks elsewhere. Returns whether
 * anything goes to stderr still. Main thread, likewise.
 */
bool log_end_start(bool is_background);

/* At the end: waits until all messages are written, or nobody takes them. Main thread. */
void log_finish(void);

/* In a child process that has no descriptors but 0 to 2: messages go to stderr. */
void log_forget(void);

/* Turns debug messages on. Main thread, before other threads exist. */
void log_set_verbose(bool is_verbose);
bool log_is_verbose(void);

/* Names the calling thread's connection in its messages; "" for none. The text is copied. */
void log_set_context(const char *context);

void log_error(const char *format, ...) __attribute__((__format__(__printf__, 1, 2)));
void log_verror(const char *format, va_list args) __attribute__((__format__(__printf__, 1, 0)));

/* Something that is not as the user thinks, and goes on all the same. */
void log_warning(const char *format, ...) __attribute__((__format__(__printf__, 1, 2)));

/* Nothing without log_set_verbose(true); always to stderr. */
void log_debug(const char *format, ...) __attribute__((__format__(__printf__, 1, 2)));
void log_vdebug(const char *format, va_list args) __attribute__((__format__(__printf__, 1, 0)));

/*
 * An error of these parts, the last of which is NULL, from a handler of a fatal signal: nothing is
 * allocated or locked, and what cannot be written at once is not written. The end of the process.
 */
void log_fatal(const char *const *parts);

enum { LOG_QUOTED_MAX = 256 };

/*
 * Writes `text`, which a client or a file may have chosen, between double
 * quotes into `out`, with everything escaped that may not be shown (utf8.h), and
 * cut with "..." where it does not fit. Returns out.
 */
const char *log_quote(char out[static LOG_QUOTED_MAX], const char *text);

#endif
