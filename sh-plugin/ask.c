/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls whose answer is an exit status or a text. Any thread enters it; calls call, buf and parse.
 */
#include <errno.h>
#include <string.h>

#include "ask.h"
#include "parse.h"

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

/* Whoever answers by a word, too, had better mean what the exit status says. */
static void hint_at_words(const struct call *call, enum status_result result)
{
    static const char *const yes[] = { "yes", "true", "on", "1", NULL };
    static const char *const no[] = { "no", "false", "off", "0", NULL };
    bool is_yes = result == STATUS_OK;
    const char *const *wrong = is_yes ? no : yes;
    int word = parse_find_word(buf_get_text(call->output), wrong);

    if (word < 0 || (!is_yes && result != STATUS_FALSE))
        return;
    if (is_yes)
        CALL_HINT_ONCE(call->method,
                       "printed '%s', but exit status 0 means yes, whatever is "
                       "printed: exit with 3 for no",
                       wrong[word]);
    else
        CALL_HINT_ONCE(call->method,
                       "printed '%s', but exit status 3 means no, whatever is "
                       "printed: exit with 0 for yes",
                       wrong[word]);
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

    enum status_result result = call_run(&call);
    hint_at_words(&call, result);
    switch (result) {
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
