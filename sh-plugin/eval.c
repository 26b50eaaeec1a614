/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The eval plugin: a disk whose methods are shell fragments of the command
 * line. Owns the fragments, set while the server is configured. Calls methods,
 * ask, process, spawn, lifetime and text.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "ask.h"
#include "cleanup.h"
#include "lifetime.h"
#include "methods.h"
#include "process.h"
#include "program.h"
#include "spawn.h"
#include "text.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

static struct fragment {
    const char *method;
    const char *text; /* the server's; NULL if the user gave none */
} fragments[] = {
    { "after_fork", NULL },
    { "block_size", NULL },
    { "cache", NULL },
    { "can_cache", NULL },
    { "can_extents", NULL },
    { "can_fast_zero", NULL },
    { "can_flush", NULL },
    { "can_fua", NULL },
    { "can_multi_conn", NULL },
    { "can_trim", NULL },
    { "can_write", NULL },
    { "can_zero", NULL },
    { "close", NULL },
    { "config", NULL },
    { "config_complete", NULL },
    { "default_export", NULL },
    { "dump_plugin", NULL },
    { "export_description", NULL },
    { "extents", NULL },
    { "flush", NULL },
    { "get_ready", NULL },
    { "get_size", NULL },
    { "is_rotational", NULL },
    { "list_exports", NULL },
    { "map", NULL },
    { "missing", NULL },
    { "open", NULL },
    { "pread", NULL },
    { "preconnect", NULL },
    { "process_model", NULL },
    { "pwrite", NULL },
    { "thread_model", NULL },
    { "trim", NULL },
    { "unload", NULL },
    { "zero", NULL },
};
#define FRAGMENT_COUNT (sizeof(fragments) / sizeof(fragments[0]))

static struct fragment *find_fragment(const char *method)
{
    for (size_t i = 0; i < FRAGMENT_COUNT; i++)
        if (strcmp(fragments[i].method, method) == 0)
            return &fragments[i];
    return NULL;
}

bool program_is_defined(const char *method)
{
    const struct fragment *fragment = find_fragment(method);

    return fragment != NULL && fragment->text != NULL;
}

bool program_mentions_pwrite(void)
{
    return program_is_defined("pwrite");
}

size_t program_get_words(const char *method, const char *words[PROGRAM_WORDS_MAX])
{
    const char *source = program_is_defined(method) ? method : "missing";

    if (!program_is_defined(source))
        return 0;
    words[0] = "/bin/sh";
    words[1] = "-c";
    words[2] = "--";
    words[3] = find_fragment(source)->text;
    words[4] = source; /* $0 */
    return 5;
}

enum program_fitness program_find_shell(struct shell *shell)
{
    shell_set_default(shell);
    return PROGRAM_FIT;
}

const char *program_get_template_name(void)
{
    return "eval";
}

/* Fragment number i is the template's argument SHELL_FIRST_ARGUMENT + i. */
size_t program_get_template_words(const char *words[PROGRAM_TEMPLATE_WORDS_MAX])
{
    _Static_assert(FRAGMENT_COUNT <= PROGRAM_TEMPLATE_WORDS_MAX, "they fit");

    for (size_t i = 0; i < FRAGMENT_COUNT; i++)
        words[i] = fragments[i].text == NULL ? "" : fragments[i].text;
    return FRAGMENT_COUNT;
}

const char *program_get_template_run(void)
{
    return "eval \"unset nbdlab_f;$nbdlab_f\"";
}

bool program_get_prepare(const char *method, char prepare[PROGRAM_PREPARE_MAX])
{
    const struct fragment *fragment =
        find_fragment(program_is_defined(method) ? method : "missing");

    if (fragment->text == NULL)
        return false;
    snprintf(prepare, PROGRAM_PREPARE_MAX, "nbdlab_f=${%zu};",
             (size_t)(fragment - fragments) + SHELL_FIRST_ARGUMENT);
    return true;
}

const char *program_get_name(void)
{
    return "eval";
}

static int config(const char *key, const char *value)
{
    int taken = process_set_parameter(key, value);
    struct fragment *fragment = find_fragment(key);

    if (taken != 0)
        return taken < 0 ? -1 : 0;
    if (fragment != NULL && fragment->text != NULL) {
        nbdkit_error("%s=... is given twice: leave one out", key);
        return -1;
    }
    if (fragment != NULL) {
        fragment->text = value;
        return 0;
    }
    if (program_is_defined("config") || program_is_defined("missing"))
        return methods_config(key, value);
    /* What the server makes of a first parameter that is no KEY=VALUE. */
    if (strcmp(key, "script") == 0) {
        nbdkit_error("expecting METHOD=SCRIPT, for example get_size='echo 1M', not '%s'", value);
        return -1;
    }
    nbdkit_error("unknown parameter '%s': it is not a method, and there is no config=SCRIPT before "
                 "it to take it",
                 key);
    return -1;
}

/*
 * Has the shell read the text without running it. Returns its complaint, for
 * free(3); or NULL if it has none, or cannot be asked.
 */
static char *find_complaint(const char *text, const char *name)
{
    BUF_GROWING(output, 0);
    BUF_GROWING(errors, CALL_ERRORS_MAX);
    const char *argv[] = { "/bin/sh", "-n", "-c", "--", text, name, NULL };
    struct spawn_job job = {
        .argv = argv,
        .environment = lifetime_get_environment(),
        .output = &output,
        .errors = &errors,
    };
    struct spawn_end end;

    if (spawn_run(&job, &end) != 0 || !WIFEXITED(end.wait_status) ||
        WEXITSTATUS(end.wait_status) == 0)
        return NULL;
    return text_join_lines(errors.data, errors.length);
}

/* All fragments in one text; NULL without memory. */
static char *join_fragments(void)
{
    char *joined = NULL;
    size_t length;
    FILE *stream = open_memstream(&joined, &length);

    for (size_t i = 0; stream && i < FRAGMENT_COUNT; i++)
        if (fragments[i].text)
            fprintf(stream, "%s\n", fragments[i].text);
    if (stream)
        fclose(stream);
    return joined;
}

/* One process tells that all is well; only if it is not, each fragment is looked at alone. */
static int check_syntax(void)
{
    CLEANUP_FREE char *all = join_fragments();
    CLEANUP_FREE char *found = all ? find_complaint(all, "eval") : NULL;

    for (size_t i = 0; found && i < FRAGMENT_COUNT; i++) {
        const struct fragment *fragment = &fragments[i];
        CLEANUP_FREE char *complaint =
            fragment->text ? find_complaint(fragment->text, fragment->method) : NULL;
        if (!complaint)
            continue;
        nbdkit_error("%s=...: the shell cannot read this fragment: %s", fragment->method,
                     complaint);
        return -1;
    }
    return 0;
}

static int config_complete(void)
{
    if (!program_is_defined("get_size") && !program_is_defined("missing")) {
        nbdkit_error("a disk needs get_size=SCRIPT, which prints its size: get_size='echo 1M'");
        return -1;
    }
    return check_syntax() < 0 ? -1 : methods_config_complete();
}

static struct nbdkit_plugin plugin = {
    .name = "eval",
    .longname = "nbdlab eval plugin",
    .version = NBDLAB_VERSION,
    .description = "a disk whose methods are shell fragments of the command line",
    .unload = methods_unload,
    .config = config,
    .config_complete = config_complete,
    .config_help = "METHOD=SCRIPT       (get_size is required) the shell fragment of a method\n"
                   "missing=SCRIPT      the fragment of the methods that are not given\n"
                   "sh.timeout=TIME     how long each call may take (0: any time)\n"
                   "sh.grace=TIME       how long calls may go on when the server stops (5)\n"
                   "sh.process=MODEL    spawn (start a shell for each call) or worker (fork one)\n"
                   "Other parameters are passed to config=SCRIPT.",
    .thread_model = methods_thread_model,
    .dump_plugin = methods_dump_plugin,
    METHODS_MEMBERS,
};

NBDKIT_REGISTER_PLUGIN(plugin)
