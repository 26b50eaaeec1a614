/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sh plugin: a disk that is a script. Owns the script's path and its magic
 * key, set while the server is configured. Calls methods, ask, script, outline,
 * process and lifetime.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "ask.h"
#include "cleanup.h"
#include "input.h"
#include "lifetime.h"
#include "methods.h"
#include "outline.h"
#include "process.h"
#include "program.h"
#include "script.h"

#define INLINE_NAME "inline script"
#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

static const char *name = "sh"; /* as the user calls the script */
static char *path;              /* absolute; NULL until the script is given */
static bool needs_shell;
static bool knows_load; /* not exit status 2, which tells that unknown methods are missing */
static bool mentions_pwrite;
static char *magic_key; /* what the script calls a bare parameter, or NULL */

size_t program_get_words(const char *method, const char *words[PROGRAM_WORDS_MAX])
{
    size_t count = 0;

    (void)method;
    if (path == NULL)
        return 0;
    if (needs_shell)
        words[count++] = "/bin/sh";
    words[count++] = path;
    return count;
}

enum program_fitness program_find_shell(struct shell *shell)
{
    if (!needs_shell)
        return script_find_shell(path, shell);
    shell_set_default(shell);
    return access(path, X_OK) == 0 ? PROGRAM_FIT : PROGRAM_INVALID;
}

const char *program_get_template_name(void)
{
    return path;
}

size_t program_get_template_words(const char *words[PROGRAM_TEMPLATE_WORDS_MAX])
{
    (void)words;
    return 0;
}

const char *program_get_template_run(void)
{
    return ". \"$0\"";
}

bool program_get_prepare(const char *method, char prepare[PROGRAM_PREPARE_MAX])
{
    (void)method;
    *prepare = '\0';
    return true;
}

/* Only a run of the script tells. */
bool program_is_defined(const char *method)
{
    (void)method;
    return false;
}

bool program_mentions_pwrite(void)
{
    return mentions_pwrite;
}

const char *program_get_name(void)
{
    return name;
}

static void unload(void)
{
    methods_unload();
    free(path);
    path = NULL;
    free(magic_key);
    magic_key = NULL;
}

/* Finds the absolute path of the script, after saving it if it is given inline. */
static char *locate_script(const char *value)
{
    CLEANUP_FREE char *inline_path = NULL;
    char *located = NULL;

    if (strcmp(value, "-") != 0) {
        name = value;
        if (script_check_file(value, value, &needs_shell) == 0 &&
            (located = realpath(value, NULL)) == NULL)
            nbdkit_error("%s: %s", value, strerror(errno));
        return located;
    }
    name = INLINE_NAME;
    if (asprintf(&inline_path, "%s/inline-script.sh", lifetime_get_tmpdir()) < 0) {
        inline_path = NULL;
        nbdkit_error("no memory");
        return NULL;
    }
    if (input_save(inline_path, "script", 0700) == 0 &&
        script_check_file(inline_path, name, &needs_shell) == 0)
        located = strdup(inline_path);
    return located;
}

static int ask_magic_key(void)
{
    BUF_GROWING(output, ASK_TEXT_MAX);
    struct call call = {
        .method = "magic_config_key",
        .arguments = CALL_ARGUMENTS(NULL),
        .output = &output,
    };

    enum status_result result = ask_text(&call);
    if (result != STATUS_OK)
        return result == STATUS_ERROR ? -1 : 0;
    buf_drop_newline(&output);
    if (output.length > 0)
        magic_key = strdup(buf_get_text(&output));
    return 0;
}

/* Shells take a carriage return for a part of the line's last word. */
static void warn_of_returns(void)
{
    CLEANUP_FREE char *text = script_read_text(path, needs_shell);
    const char *end = text ? strstr(text, "\r\n") : NULL;
    size_t line = 1;

    if (!end)
        return;
    for (const char *at = text; at < end; at++)
        line += *at == '\n';
    nbdkit_warning("%s: line %zu ends with a carriage return, as in Windows: run \"sed -i "
                   "'s/\\r$//' %s\"",
                   name, line, strcmp(name, INLINE_NAME) == 0 ? "FILE" : name);
}

static int set_script(const char *value)
{
    path = locate_script(value);
    if (path)
        warn_of_returns();
    enum status_result load = path ? ask_status("load", CALL_ARGUMENTS(NULL)) : STATUS_ERROR;
    knows_load = load != STATUS_MISSING;
    if (load != STATUS_ERROR && ask_magic_key() == 0)
        return 0;
    /* A script that could not begin is not asked to unload. */
    free(path);
    path = NULL;
    return -1;
}

static int config(const char *key, const char *value)
{
    int taken = process_set_parameter(key, value);
    bool is_bare = strcmp(key, "script") == 0;

    if (taken != 0)
        return taken < 0 ? -1 : 0;
    if (path == NULL && is_bare)
        return set_script(value);
    if (path == NULL) {
        nbdkit_error("the first parameter must be the script, not %s=%s", key, value);
        return -1;
    }
    if (!is_bare)
        return methods_config(key, value);
    if (magic_key != NULL)
        return methods_config(magic_key, value);
    nbdkit_error("%s: expecting KEY=VALUE, not '%s': the script has no magic_config_key method to "
                 "name a key for it",
                 name, value);
    return -1;
}

/* Does the script lack the method, as far as its text tells? */
static bool lacks_method(const char *method)
{
    CLEANUP_FREE char *text = knows_load ? NULL : script_read_text(path, needs_shell);

    return text && outline_lacks_method(text, method);
}

/*
 * What would be lacking for every client is told here, where the user sees it.
 * Neither method is called: a script may do something for it.
 */
static int look_for_methods(void)
{
    CLEANUP_FREE char *text = script_read_text(path, needs_shell);

    mentions_pwrite = text && outline_names_method(text, "pwrite");
    if (lacks_method("get_size")) {
        nbdkit_error("%s: it has no method get_size, which a disk needs: print its size there, for "
                     "example get_size) echo 10M ;;",
                     name);
        return -1;
    }
    if (lacks_method("pread"))
        nbdkit_warning("%s: it has no method pread, so that every read will fail: print $3 bytes "
                       "from offset $4 on there",
                       name);
    return 0;
}

static int config_complete(void)
{
    if (path)
        return methods_config_complete() < 0 ? -1 : look_for_methods();
    nbdkit_error("no script: give its path as the first parameter");
    return -1;
}

static int thread_model(void)
{
    return path == NULL ? THREAD_MODEL : methods_thread_model();
}

static struct nbdkit_plugin plugin = {
    .name = "sh",
    .longname = "nbdlab sh plugin",
    .version = NBDLAB_VERSION,
    .description = "a disk whose methods are one script",
    .unload = unload,
    .config = config,
    .config_complete = config_complete,
    .config_help = "script=FILE         (required) the script, or - for standard input\n"
                   "sh.timeout=TIME     how long each call may take (0: any time)\n"
                   "sh.grace=TIME       how long calls may go on when the server stops (5)\n"
                   "sh.process=MODEL    spawn (start it for each call) or worker (fork a shell)\n"
                   "Other parameters are passed to the script.",
    .magic_config_key = "script",
    .thread_model = thread_model,
    .dump_plugin = methods_dump_plugin,
    METHODS_MEMBERS,
};

NBDKIT_REGISTER_PLUGIN(plugin)
