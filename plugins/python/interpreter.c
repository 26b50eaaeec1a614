/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The Python interpreter in the server's process. Owns the main thread's state, and the state of
 * each thread of the server's that has called the script, which is kept until that thread ends:
 * making one costs more than a short callback. Any thread enters; calls Python and the plugin API.
 */
#include "interpreter.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

static bool is_started;
static PyThreadState *main_state; /* NULL while the main thread holds the lock */
static pthread_key_t state_key;   /* its destructor runs when a thread ends */
static __thread PyThreadState *thread_state;
static __thread bool is_forking;

/*
 * The server loads plugins for themselves alone, but modules in C (ctypes, numpy) look for the
 * symbols of libpython among those that all may see.
 */
static void share_symbols(void)
{
    Dl_info info;

    if (dladdr((void *)(uintptr_t)Py_IsInitialized, &info) != 0 && info.dli_fname != NULL)
        dlopen(info.dli_fname, RTLD_LAZY | RTLD_GLOBAL | RTLD_NOLOAD);
}

static void drop_thread_state(void *state)
{
    PyEval_RestoreThread(state);
    PyThreadState_Clear(state);
    PyThreadState_DeleteCurrent();
}

/* Which python3 this is, for sys.executable and the folders of modules: a virtual environment's
 * or the system's. */
static PyStatus set_program(PyConfig *config)
{
    const char *environment = getenv("VIRTUAL_ENV");
    char path[PATH_MAX] = PYTHON_PROGRAM;

    if (environment != NULL && *environment != '\0')
        snprintf(path, sizeof path, "%s/bin/python3", environment);
    return PyConfig_SetBytesString(config, &config->program_name, path);
}

static PyStatus initialise(const char *script_path)
{
    PyConfig config;

    PyConfig_InitPythonConfig(&config);
    config.install_signal_handlers = 0; /* signals are the server's */
    config.parse_argv = 0;
    config.buffered_stdio = 0; /* what is printed is seen at once, and once after a fork */
    PyStatus status = set_program(&config);
    if (!PyStatus_Exception(status))
        status =
            PyConfig_SetBytesArgv(&config, 1, (char *const[]){ (char *)(uintptr_t)script_path });
    if (!PyStatus_Exception(status))
        status = Py_InitializeFromConfig(&config);
    PyConfig_Clear(&config);
    return status;
}

/* Standard output is not, or no longer, the script's: what it prints goes to standard error. */
static void redirect_output(void)
{
    PyObject *error_stream = PySys_GetObject("stderr");

    if (error_stream != NULL)
        PySys_SetObject("stdout", error_stream);
}

/* As for `python3 disk.py`: modules are looked for beside the script first. */
static void add_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    PyObject *folders = PySys_GetObject("path");
    CLEANUP_REFERENCE PyObject *folder =
        slash == NULL ? NULL
                      : PyUnicode_DecodeFSDefaultAndSize(path, slash - path + (slash == path));

    if (folder == NULL || folders == NULL || PyList_Insert(folders, 0, folder) != 0)
        PyErr_Clear();
}

void interpreter_leave_stdio(void)
{
    static const char give_back[] =
        "import os, sys\n"
        "try:\n"
        "    sys.stdin.seek(sys.stdin.tell())\n"
        "    os.lseek(sys.stdin.fileno(), sys.stdin.buffer.tell(), os.SEEK_SET)\n"
        "except (OSError, ValueError, AttributeError):\n"
        "    pass\n";
    PyObject *names = PyDict_New();

    if (names != NULL)
        Py_XDECREF(PyRun_String(give_back, Py_file_input, names, names));
    Py_XDECREF(names);
    PyErr_Clear();
    redirect_output();
}

/*
 * When the server goes into the background, no thread of the script's may hold the lock: in the
 * child there is nobody to give it back. Python takes care of its own forks.
 */
static void before_fork(void)
{
    if (!is_started || PyGILState_Check())
        return;
    interpreter_enter();
    is_forking = true;
    PyOS_BeforeFork();
}

static void after_fork_in_parent(void)
{
    if (!is_forking)
        return;
    is_forking = false;
    PyOS_AfterFork_Parent();
    interpreter_leave();
}

static void after_fork_in_child(void)
{
    if (!is_forking)
        return;
    is_forking = false;
    PyOS_AfterFork_Child();
    interpreter_leave();
}

int interpreter_start(const char *path)
{
    share_symbols();
    PyStatus status = initialise(path);
    if (PyStatus_Exception(status)) {
        nbdkit_error("cannot start Python: %s: check PYTHONHOME, PYTHONPATH and VIRTUAL_ENV",
                     status.err_msg == NULL ? "it exited" : status.err_msg);
        return -1;
    }
    if (pthread_key_create(&state_key, drop_thread_state) != 0) {
        nbdkit_error("cannot start Python: no thread-specific data left");
        return -1;
    }
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
    is_started = true;
    thread_state = PyThreadState_Get();
    if (!nbdkit_stdio_safe()) /* with -s, it is the client's */
        redirect_output();
    add_folder(path);
    return 0;
}

void interpreter_release(void)
{
    main_state = PyEval_SaveThread();
}

void interpreter_enter(void)
{
    int saved_errno = errno;

    if (thread_state != NULL) {
        PyEval_RestoreThread(thread_state);
    } else {
        /* Known to PyGILState_Ensure() too, for modules that use it; it is never given back by
         * PyGILState_Release(), which would free it. */
        (void)PyGILState_Ensure();
        thread_state = PyThreadState_Get();
        pthread_setspecific(state_key, thread_state);
    }
    errno = saved_errno;
}

void interpreter_leave(void)
{
    int saved_errno = errno;

    PyEval_SaveThread();
    errno = saved_errno;
}

/* How many threads of the script's own Python would wait for. */
static long count_threads(void)
{
    static const char code[] = "import sys\n"
                               "threading = sys.modules.get('threading')\n"
                               "count = 0 if threading is None else sum(\n"
                               "    not t.daemon and t is not threading.main_thread() and t is not "
                               "threading.current_thread()\n"
                               "    for t in threading.enumerate())\n";
    CLEANUP_REFERENCE PyObject *names = PyDict_New();
    CLEANUP_REFERENCE PyObject *result =
        names == NULL ? NULL : PyRun_String(code, Py_file_input, names, names);
    PyObject *count = result == NULL ? NULL : PyDict_GetItemString(names, "count");
    long number = count == NULL ? 0 : PyLong_AsLong(count);

    PyErr_Clear();
    return number;
}

/* What atexit.register() has, where the interpreter cannot be ended. */
static void run_exit_functions(void)
{
    CLEANUP_REFERENCE PyObject *module = PyImport_ImportModule("atexit");
    CLEANUP_REFERENCE PyObject *result =
        module == NULL ? NULL : PyObject_CallMethod(module, "_run_exitfuncs", NULL);

    if (result == NULL)
        PyErr_Print();
}

void interpreter_stop(void (*give_up)(void))
{
    if (!is_started)
        return;
    if (main_state != NULL)
        PyEval_RestoreThread(main_state);
    is_started = false;
    long count = count_threads();
    if (count > 0) {
        nbdkit_warning("%ld thread%s of the script still run%s: end and join threads in cleanup(), "
                       "or make them daemon threads",
                       count, count == 1 ? "" : "s", count == 1 ? "s" : "");
        run_exit_functions();
        PyEval_SaveThread();
        return;
    }
    give_up();
    if (Py_FinalizeEx() != 0)
        nbdkit_error("Python could not write all that was printed");
    pthread_key_delete(state_key);
}
