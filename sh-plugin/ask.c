/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls whose answer is an exit status or a text. Any thread enters it; calls call and buf. */
#include <errno.h>
#include <string.h>

#include "ask.h"

#define IGNORED_MAX 64 /* bytes of useless output that are kept for messages */

enum status_result ask_status(const char *method, const char *const *arguments)
{
    BUF_GROWING(output, IGNORED_MAX);

    return call_run(&(struct call){ .method = method, .arguments = arguments, .output = &output });
}

int ask_required(struct call call)
{
    BUF_GROWING(output, IGNORED_MAX);

    call.output = &output;
    return call_run(&call) == STATUS_OK ? 0 : -1;
}

int ask_optional(const char *method, const char *const *arguments)
{
    return ask_status(method, arguments) == STATUS_ERROR ? -1 : 0;
}

int ask_boolean(const char *method, const char *const *arguments, int if_missing)
{
    BUF_GROWING(output, IGNORED_MAX);
    struct call call = {
        .method = method,
        .arguments = arguments,
        .output = &output,
        .is_boolean = true,
    };

    switch (call_run(&call)) {
    case STATUS_OK:
        return 1;
    case STATUS_FALSE:
        return 0;
    case STATUS_MISSING:
        return if_missing;
    case STATUS_ERROR:
        break;
    }
    return -1;
}

/* Refuses what is no text of a bearable length. */
static enum status_result check_text(const struct call *call)
{
    const struct buf *output = call->output;

    if (output->dropped > 0) {
        call_refuse(call, EIO, "printed more than %zu bytes", output->limit);
        return STATUS_ERROR;
    }
    if (output->length > 0 && memchr(output->data, '\0', output->length)) {
        call_refuse(call, EIO, "printed a NUL byte: print text");
        return STATUS_ERROR;
    }
    return STATUS_OK;
}

enum status_result ask_text(const struct call *call)
{
    BUF_GROWING(errors, CALL_ERRORS_MAX);
    struct call with_errors = *call;

    if (!call->errors)
        with_errors.errors = &errors;
    enum status_result result = call_run(&with_errors);
    return result == STATUS_OK ? check_text(&with_errors) : result;
}
