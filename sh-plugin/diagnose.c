/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns the texts that explain a failed call. Any thread enters it. Calls
 * text, parse, program and nbdkit_error.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "cleanup.h"
#include "diagnose.h"
#include "parse.h"
#include "program.h"
#include "text.h"

#define HOW_MAX 128      /* bytes, how a script ended in words */
#define SHELL_SIGNAL 128 /* and a signal's number: the status of a command that it killed */

static const char *get_text(const char *joined)
{
    return joined == NULL ? "(no memory to show it)" : joined;
}

/* Steps past "WORD: " at the text's beginning. */
static const char *skip_word(const char *text, const char *word)
{
    size_t length = strlen(word);

    return strncmp(text, word, length) == 0 && strncmp(text + length, ": ", 2) == 0
               ? text + length + 2
               : text;
}

/* The text without what the message has said: shells begin their complaints with $0. */
static const char *skip_name(const char *joined, const char *method)
{
    const char *text = get_text(joined);
    const char *rest = skip_word(text, method);

    return rest != text ? rest : skip_word(text, program_get_name());
}

static const char *get_signal_name(int number, char name[HOW_MAX])
{
    const char *abbreviation = sigabbrev_np(number);

    if (abbreviation == NULL)
        snprintf(name, HOW_MAX, "signal %d", number);
    else
        snprintf(name, HOW_MAX, "SIG%s", abbreviation);
    return name;
}

/* What an exit status says beside its number: to us, or by the habit of shells. NULL: nothing. */
static const char *get_meaning(int number, char text[HOW_MAX])
{
    static const char *const meanings[] = {
        [4] = "shut down",
        [5] = "shut down",
        [6] = "disconnect at once",
        [7] = "disconnect",
        [8] = "disconnect",
        [124] = "of timeout(1): a command took too long",
        [126] = "a command could not be executed",
        [127] = "a command was not found",
        [SHELL_SIGNAL + SIGPIPE] = "a reader closed the pipe: SIGPIPE, with pipefail",
    };

    if (number < (int)(sizeof meanings / sizeof *meanings) && meanings[number])
        return meanings[number];
    if (number <= SHELL_SIGNAL || !sigabbrev_np(number - SHELL_SIGNAL))
        return NULL;
    snprintf(text, HOW_MAX, "a command was killed by SIG%.40s",
             sigabbrev_np(number - SHELL_SIGNAL));
    return text;
}

/* How the script ended, for a message. */
static void describe_end(int wait_status, char how[HOW_MAX])
{
    char text[HOW_MAX];

    if (WIFSIGNALED(wait_status)) {
        snprintf(how, HOW_MAX, "killed by %.40s", get_signal_name(WTERMSIG(wait_status), text));
        return;
    }
    int number = WEXITSTATUS(wait_status);
    const char *meaning = get_meaning(number, text);
    snprintf(how, HOW_MAX, meaning ? "exit status %d (%.90s)" : "exit status %d", number, meaning);
}

/* Does how the script ended belong into a message that has its stderr? */
static bool is_end_worth_telling(int wait_status)
{
    char text[HOW_MAX];

    return WIFSIGNALED(wait_status) || get_meaning(WEXITSTATUS(wait_status), text);
}

void diagnose_trace_call(const struct diagnose_report *report, const char *const *argv)
{
    const struct buf *output = report->output;
    const struct buf *errors = report->errors;
    CLEANUP_FREE char *words = text_quote_words(argv);
    char how[HOW_MAX];

    describe_end(report->end->wait_status, how);
    nbdkit_debug("%s %s -> %s, %zu bytes, %.1f ms", program_get_name(), get_text(words), how,
                 output->length + output->dropped, (double)report->end->elapsed_ns / 1e6);
    if (status_decode_wait(report->end->wait_status).result != STATUS_ERROR && errors->length > 0) {
        CLEANUP_FREE char *joined = text_join_lines(errors->data, errors->length);
        nbdkit_debug("%s: %s: stderr: %s", program_get_name(), report->method, get_text(joined));
    }
}

char *diagnose_quote_errors(const struct buf *errors)
{
    CLEANUP_FREE char *joined = text_join_lines(errors->data, errors->length);
    char *quoted;

    if (!joined || !*joined || asprintf(&quoted, "; its stderr: %s", joined) < 0)
        return NULL;
    return quoted;
}

/* The errno of a call that was ended for this cause. */
static int get_cut_errno(enum limits_cause cause)
{
    return cause == LIMITS_TIMEOUT ? ETIMEDOUT : cause == LIMITS_STOP ? ESHUTDOWN : EIO;
}

int diagnose_log_cut(const struct diagnose_report *report)
{
    bool is_timeout = report->end->cut == LIMITS_TIMEOUT;
    const char *limit = is_timeout ? "(sh.timeout)" : "of the server's stop (sh.grace)";
    double seconds = is_timeout ? limits_get_timeout_seconds() : limits_get_grace_seconds();
    CLEANUP_FREE char *quoted = diagnose_quote_errors(report->errors);
    const char *told = quoted ? quoted : "";
    char within[HOW_MAX];

    snprintf(within, sizeof within, "%g second%s", seconds, TEXT_PLURAL(seconds));
    if (report->end->cut == LIMITS_SURPLUS)
        nbdkit_error("%s: %s printed more than 64 MiB too much, and went on: killed; if it is dd: "
                     "iflag=count_bytes,skip_bytes%s",
                     program_get_name(), report->method, told);
    else if (report->end->is_cut_by_child)
        nbdkit_error("%s: %s ended, but a background process that kept its stdout or stderr open "
                     "did not within %s %s: killed; redirect both (>/dev/null 2>&1 &)%s",
                     program_get_name(), report->method, within, limit, told);
    else
        nbdkit_error("%s: %s did not end within %s %s: killed%s", program_get_name(),
                     report->method, within, limit, told);
    return get_cut_errno(report->end->cut);
}

void diagnose_log_exec(const char *method, int errno_value)
{
    nbdkit_error("%s: %s: cannot run it: %s%s", program_get_name(), method, strerror(errno_value),
                 errno_value == EACCES
                     ? "; the server's user (see -u) must have the rights to read "
                       "and execute it, and to enter its folders"
                     : "");
}

/* True if an errno word stands on stdout, where it has no meaning. */
static bool has_errno_on_stdout(const struct diagnose_report *report)
{
    const struct buf *output = report->output;

    return parse_find_errno(output->data, output->length) != 0 &&
           parse_find_errno(report->errors->data, report->errors->length) == 0;
}

void diagnose_log_failure(const struct diagnose_report *report)
{
    const struct buf *errors = report->errors;
    const char *hint = has_errno_on_stdout(report)
                           ? "; it printed an errno word on stdout, but these are read from "
                             "stderr (echo EIO >&2)"
                           : "";
    char how[HOW_MAX];
    bool is_telling = is_end_worth_telling(report->end->wait_status);

    describe_end(report->end->wait_status, how);
    if (errors->length == 0) {
        nbdkit_error("%s: %s: %s%s%s", program_get_name(), report->method, how,
                     is_telling ? "" : " and no message on stderr", hint);
        return;
    }
    CLEANUP_FREE char *joined = text_join_lines(errors->data, errors->length);
    if (is_telling)
        nbdkit_error("%s: %s: %s: %s%s", program_get_name(), report->method, how, get_text(joined),
                     hint);
    else
        nbdkit_error("%s: %s: %s%s", program_get_name(), report->method,
                     skip_name(joined, report->method), hint);
}

void diagnose_log_false(const struct diagnose_report *report)
{
    CLEANUP_FREE char *quoted = diagnose_quote_errors(report->errors);

    nbdkit_error("%s: %s: exit status 3 means false, but this method is no question: exit with "
                 "0 for success, or with 1 for an error%s",
                 program_get_name(), report->method, quoted ? quoted : "");
}

void diagnose_log_missing(const struct diagnose_report *report, const char *hint)
{
    CLEANUP_FREE char *quoted = diagnose_quote_errors(report->errors);

    bool was_run = WEXITSTATUS(report->end->wait_status) == 2;

    nbdkit_error("%s: %s: there is no such method%s, but %s%s", program_get_name(), report->method,
                 was_run ? " (exit status 2)" : "", hint, quoted ? quoted : "");
}

/* Has the method not been warned of? From now on it has. */
static bool take_warning(const char *method)
{
    enum { METHODS_MAX = 64 };
    static const char *_Atomic warned[METHODS_MAX];

    for (int i = 0; i < METHODS_MAX; i++) {
        const char *expected = NULL;
        if (atomic_compare_exchange_strong(&warned[i], &expected, method))
            return true;
        if (strcmp(expected, method) == 0)
            return false;
    }
    return false;
}

/* The status that says no in a question, or that a method failed. */
static int get_other_status(const char *method)
{
    return strncmp(method, "can_", 4) == 0 || strncmp(method, "is_", 3) == 0 ? 3 : 1;
}

void diagnose_warn_missing(const struct diagnose_report *report)
{
    static _Atomic bool is_silent_else; /* Did a method that is not there say nothing? */
    const struct buf *errors = report->errors;
    bool is_sign = is_silent_else || program_is_defined(report->method);

    if (!text_has_message(errors->data, errors->length)) {
        is_silent_else = true;
        return;
    }
    if (!is_sign || !take_warning(report->method))
        return;
    CLEANUP_FREE char *quoted = diagnose_quote_errors(errors);
    nbdkit_warning("%s: %s: exit status 2 means that there is no such method; if that was the "
                   "status of a command (of grep, ls, diff, [), let it become another one: "
                   "command || exit %d%s",
                   program_get_name(), report->method, get_other_status(report->method),
                   quoted ? quoted : "");
}

void diagnose_log_complaint(const struct diagnose_report *report)
{
    CLEANUP_FREE char *joined = text_join_lines(report->errors->data, report->errors->length);

    nbdkit_error("%s: %s: the shell gave up (exit status 2): %s", program_get_name(),
                 report->method, get_text(joined));
}
