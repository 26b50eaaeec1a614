/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The python plugin: a disk whose callbacks are functions of a Python script. Owns the script's
 * path. Main thread, but for open, close and preconnect; calls script, interpreter and module.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "answer.h"
#include "callbacks.h"
#include "fault.h"
#include "interpreter.h"
#include "module.h"
#include "script.h"
#include "view.h"

/* The script may choose a stricter one, and does unless it says otherwise. */
#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

static char *path; /* as the user gave it; NULL until then */

static int start(const char *value)
{
    path = strdup(value);
    if (path == NULL || module_offer() == -1) {
        nbdkit_error("no memory");
        return -1;
    }
    if (interpreter_start(path) == -1)
        return -1;
    int result = view_prepare();
    if (result == -1)
        fault_report(NULL);
    else
        result = script_load(path);
    interpreter_release();
    return result;
}

static int fail_with_unknown(const char *key, const char *value)
{
    nbdkit_error("%s: unknown parameter %s=%s: the script has no function config(key, value)",
                 script_get_name(), key, value);
    return -1;
}

/* The key that the script gives to a parameter without one, or NULL. */
static const char *get_magic_key(void)
{
    PyObject *value = script_get_variable("magic_config_key");
    const char *key = value == NULL || !PyUnicode_Check(value) ? NULL : PyUnicode_AsUTF8(value);

    PyErr_Clear();
    return key;
}

static int python_config(const char *key, const char *value)
{
    bool is_bare = strcmp(key, "script") == 0;

    if (path == NULL && is_bare)
        return start(value);
    if (path == NULL) {
        nbdkit_error("the first parameter must be the script, not %s=%s", key, value);
        return -1;
    }
    WITH_INTERPRETER;
    const char *real_key = is_bare ? get_magic_key() : key;
    if (real_key == NULL) {
        nbdkit_error("%s: expecting KEY=VALUE, not '%s': the script has no variable "
                     "magic_config_key to name a key for it",
                     script_get_name(), value);
        return -1;
    }
    if (!script_has(SCRIPT_CONFIG))
        return fail_with_unknown(real_key, value);
    return script_run(SCRIPT_CONFIG, SCRIPT_ARGUMENTS(PyUnicode_DecodeFSDefault(real_key),
                                                      PyUnicode_DecodeFSDefault(value)));
}

/* Calls a function without arguments, if the script has it. */
static int run_optional(enum script_function function)
{
    return script_has(function) ? script_run(function, SCRIPT_NO_ARGUMENTS) : 0;
}

static int python_config_complete(void)
{
    if (path == NULL) {
        nbdkit_error("no script: give its path as the first parameter");
        return -1;
    }
    WITH_INTERPRETER;
    return run_optional(SCRIPT_CONFIG_COMPLETE);
}

static int python_thread_model(void)
{
    if (path == NULL)
        return NBDKIT_THREAD_MODEL_SERIALIZE_ALL_REQUESTS;
    WITH_INTERPRETER;
    if (!script_has(SCRIPT_THREAD_MODEL))
        return NBDKIT_THREAD_MODEL_SERIALIZE_ALL_REQUESTS;
    return (int)answer_read_integer(
        SCRIPT_THREAD_MODEL, script_call(SCRIPT_THREAD_MODEL, SCRIPT_NO_ARGUMENTS),
        NBDKIT_THREAD_MODEL_SERIALIZE_CONNECTIONS, NBDKIT_THREAD_MODEL_PARALLEL,
        "return one of the constants nbdkit.THREAD_MODEL_*");
}

static int python_get_ready(void)
{
    WITH_INTERPRETER;
    int result = run_optional(SCRIPT_GET_READY);

    interpreter_leave_stdio();
    return result;
}

static int python_after_fork(void)
{
    WITH_INTERPRETER;

    return run_optional(SCRIPT_AFTER_FORK);
}

static void python_cleanup(void)
{
    WITH_INTERPRETER;

    run_optional(SCRIPT_CLEANUP);
}

static void python_unload(void)
{
    if (path != NULL)
        interpreter_stop(script_unload);
    free(path);
    path = NULL;
}

static void python_dump_plugin(void)
{
    printf("python_version=%s\n", PY_VERSION);
    printf("python_pep_384_abi_version=%d\n", PYTHON_ABI_VERSION);
    printf("nbdkit_python_maximum_api_version=%d\n", SCRIPT_API_VERSION_MAX);
    fflush(stdout);
    if (path == NULL)
        return;
    WITH_INTERPRETER;
    run_optional(SCRIPT_DUMP_PLUGIN);
}

static int python_preconnect(int readonly)
{
    WITH_INTERPRETER;

    if (!script_has(SCRIPT_PRECONNECT))
        return 0;
    return script_run(SCRIPT_PRECONNECT, SCRIPT_ARGUMENTS(PyBool_FromLong(readonly)));
}

static void *python_open(int readonly)
{
    WITH_INTERPRETER;

    return script_call(SCRIPT_OPEN, SCRIPT_ARGUMENTS(PyBool_FromLong(readonly)));
}

static void python_close(void *handle)
{
    WITH_INTERPRETER;

    if (script_has(SCRIPT_CLOSE))
        script_run(SCRIPT_CLOSE, SCRIPT_ARGUMENTS(Py_NewRef(handle)));
    Py_DECREF(handle);
}

static struct nbdkit_plugin plugin = {
    .name = "python",
    .longname = "nbdlab python plugin",
    .version = NBDLAB_VERSION,
    .description = "a disk whose callbacks are functions of a Python script",
    .unload = python_unload,
    .config = python_config,
    .config_complete = python_config_complete,
    .config_help = "script=FILE         (required) the script, or - for standard input\n"
                   "Other parameters are passed to the script.",
    .magic_config_key = "script",
    .thread_model = python_thread_model,
    .get_ready = python_get_ready,
    .after_fork = python_after_fork,
    .cleanup = python_cleanup,
    .dump_plugin = python_dump_plugin,
    .preconnect = python_preconnect,
    .list_exports = exports_list,
    .default_export = exports_get_default,
    .export_description = exports_describe,
    .open = python_open,
    .close = python_close,
    .get_size = capabilities_get_size,
    .block_size = capabilities_block_size,
    .can_write = capabilities_can_write,
    .can_flush = capabilities_can_flush,
    .is_rotational = capabilities_is_rotational,
    .can_trim = capabilities_can_trim,
    .can_zero = capabilities_can_zero,
    .can_fast_zero = capabilities_can_fast_zero,
    .can_fua = capabilities_can_fua,
    .can_multi_conn = capabilities_can_multi_conn,
    .can_extents = capabilities_can_extents,
    .can_cache = capabilities_can_cache,
    .pread = requests_pread,
    .pwrite = requests_pwrite,
    .flush = requests_flush,
    .trim = requests_trim,
    .zero = requests_zero,
    .cache = requests_cache,
    .extents = requests_extents,
};

NBDKIT_REGISTER_PLUGIN(plugin)
