/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns sh.process and what was decided. Entered by the thread that configures
 * the server. Calls ask, limits, parse, program and text.
 */
#include <errno.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "ask.h"
#include "cleanup.h"
#include "limits.h"
#include "parse.h"
#include "process.h"
#include "program.h"
#include "text.h"

enum process_model { SPAWN, WORKER, UNDECIDED };
static const char *const words[] = { [SPAWN] = "spawn", [WORKER] = "worker", NULL };

static enum process_model parameter = UNDECIDED;
static enum process_model decision = SPAWN;

int process_set_parameter(const char *key, const char *value)
{
    if (strcmp(key, "sh.process") != 0)
        return limits_set_parameter(key, value);
    int model = parse_find_word(value, words);
    if (model < 0) {
        nbdkit_error("sh.process=%s: give spawn or worker", value);
        return -1;
    }
    if (parameter != UNDECIDED) {
        nbdkit_error("sh.process is given twice: leave one out");
        return -1;
    }
    parameter = (enum process_model)model;
    return 1;
}

/* What the script says of itself. Returns -1 after nbdkit_error. */
static int ask_model(void)
{
    BUF_GROWING(output, ASK_TEXT_MAX);
    BUF_GROWING(errors, CALL_ERRORS_MAX);
    struct call call = {
        .method = "process_model",
        .arguments = CALL_ARGUMENTS(NULL),
        .output = &output,
        .errors = &errors,
    };

    enum status_result result = ask_text(&call);
    if (result != STATUS_OK)
        return result == STATUS_ERROR ? -1 : SPAWN;
    int model = parse_find_word(buf_get_text(&output), words);
    if (model >= 0)
        return model;
    CLEANUP_FREE char *shown = text_join_lines(buf_get_text(&output), output.length);
    if (shown == NULL || *shown == '\0')
        call_warn(&call,
                  "printed nothing, so spawn is used: print spawn or worker, or, if the script "
                  "has no such method, let it exit with 2 (*) exit 2 ;;)");
    else
        call_warn(&call, "'%.200s' is not a process model, so spawn is used: print spawn or worker",
                  shown);
    return SPAWN;
}

int process_decide(void)
{
    struct shell shell;
    int model = parameter == UNDECIDED ? ask_model() : (int)parameter;

    if (model < 0)
        return -1;
    decision = (enum process_model)model;
    if (decision == SPAWN || program_find_shell(&shell) != PROGRAM_OTHER)
        return 0;
    if (parameter == WORKER) {
        nbdkit_error("%s: sh.process=worker is for scripts whose #! line names " SHELL_NAMES
                     ", with options that do not hinder it: leave it out, or correct the line",
                     program_get_name());
        return -1;
    }
    nbdkit_warning("%s: process_model: workers are for scripts whose #! line names " SHELL_NAMES
                   ", with options that do not hinder it, so spawn is used",
                   program_get_name());
    decision = SPAWN;
    return 0;
}

bool process_has_workers(void)
{
    return decision == WORKER;
}
