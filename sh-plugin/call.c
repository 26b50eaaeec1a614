/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One call of the script, from its arguments to its result. Owns nothing; any
 * thread enters it. Calls program, worker, spawn, status, parse, diagnose, and the
 * server: nbdkit_shutdown and nbdkit_disconnect are called here and nowhere else.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "call.h"
#include "cleanup.h"
#include "diagnose.h"
#include "lifetime.h"
#include "limits.h"
#include "parse.h"
#include "program.h"
#include "spawn.h"
#include "text.h"
#include "worker.h"

#define ARGV_MAX (PROGRAM_WORDS_MAX + 1 + CALL_ARGUMENTS_MAX + 1)

/* Logs what is said of the method. errors: what the script wrote to stderr; or NULL. */
__attribute__((format(printf, 4, 0))) static void log_message(void (*log)(const char *format, ...),
                                                              const char *method,
                                                              const struct buf *errors,
                                                              const char *format, va_list args)
{
    CLEANUP_FREE char *message = NULL;
    CLEANUP_FREE char *told = errors == NULL ? NULL : diagnose_quote_errors(errors);

    if (vasprintf(&message, format, args) < 0)
        message = NULL;
    log("%s: %s: %s%s", program_get_name(), method, message == NULL ? "no memory" : message,
        told == NULL ? "" : told);
}

static int fail(int errno_value)
{
    nbdkit_set_error(errno_value);
    errno = errno_value;
    return -1;
}

int call_fail(const char *method, int errno_value, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_message(nbdkit_error, method, NULL, format, args);
    va_end(args);
    return fail(errno_value);
}

int call_refuse(const struct call *call, int errno_value, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_message(nbdkit_error, call->method, call->errors, format, args);
    va_end(args);
    return fail(errno_value);
}

void call_warn(const struct call *call, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_message(nbdkit_warning, call->method, call->errors, format, args);
    va_end(args);
}

void call_apply_effect(enum status_effect effect)
{
    int saved_errno = errno;

    switch (effect) {
    case STATUS_EFFECT_NONE:
        break;
    case STATUS_EFFECT_SHUTDOWN:
        nbdkit_shutdown();
        break;
    case STATUS_EFFECT_DISCONNECT_SOFT:
        nbdkit_disconnect(0);
        break;
    case STATUS_EFFECT_DISCONNECT_FORCE:
        nbdkit_disconnect(1);
        break;
    }
    errno = saved_errno;
}

static enum status_result fail_with(int errno_value)
{
    fail(errno_value);
    return STATUS_ERROR;
}

static enum status_result fail_by_status(const struct diagnose_report *report, struct status status)
{
    int named = parse_find_errno(report->errors->data, report->errors->length);

    diagnose_log_failure(report);
    return fail_with(named == 0 ? status.default_errno : named);
}

static enum status_result judge_missing(const struct call *call,
                                        const struct diagnose_report *report)
{
    if (text_is_shell_complaint(report->errors->data, report->errors->length)) {
        diagnose_log_complaint(report);
        return fail_with(EIO);
    }
    if (!call->missing_hint) {
        diagnose_warn_missing(report);
        return STATUS_MISSING;
    }
    diagnose_log_missing(report, call->missing_hint);
    return fail_with(EIO);
}

/* What the decoded status means for this method. */
static enum status_result judge(const struct call *call, const struct diagnose_report *report,
                                struct status status)
{
    switch (status.result) {
    case STATUS_OK:
        break;
    case STATUS_FALSE:
        if (call->is_boolean)
            break;
        diagnose_log_false(report);
        return fail_with(EIO);
    case STATUS_MISSING:
        return judge_missing(call, report);
    case STATUS_ERROR:
        return fail_by_status(report, status);
    }
    return status.result;
}

/* Decodes how the call ended, applies the effect, and logs. */
static enum status_result conclude(const struct call *call, const struct diagnose_report *report)
{
    if (report->end->cut != LIMITS_NONE) {
        int cut_errno = diagnose_log_cut(report);
        if (!report->end->is_cut_by_child)
            return fail_with(cut_errno);
    }
    struct status status = status_decode_wait(report->end->wait_status);
    enum status_result result = judge(call, report, status);
    call_apply_effect(status.effect);
    return result;
}

static void fill_argv(const struct call *call, const char **argv)
{
    *argv++ = call->method;
    for (size_t i = 0; call->arguments[i] != NULL; i++)
        *argv++ = call->arguments[i];
    *argv = NULL;
}

enum status_result call_run(const struct call *call)
{
    const char *argv[ARGV_MAX];
    size_t words = program_get_words(call->method, argv);
    BUF_GROWING(unwanted, CALL_ERRORS_MAX);
    struct buf *errors = call->errors == NULL ? &unwanted : call->errors;
    struct spawn_end end = { 0 };
    struct diagnose_report report = { call->method, call->output, errors, &end };
    struct spawn_job job = {
        .argv = argv,
        .environment = lifetime_get_environment(),
        .input = call->input,
        .input_length = call->input_length,
        .output = call->output,
        .errors = errors,
    };

    if (words == 0)
        return judge_missing(call, &report);
    if (limits_is_too_late()) {
        call_fail(call->method, ESHUTDOWN, "not run: the server has to end (sh.grace)");
        return STATUS_ERROR;
    }
    fill_argv(call, argv + words);
    int error = worker_run(call->method, argv + words, &job, &end) ? 0 : spawn_run(&job, &end);
    if (error != 0) {
        diagnose_log_exec(call->method, error);
        return fail_with(EIO);
    }
    diagnose_trace_call(&report, argv + words);
    return conclude(call, &report);
}
