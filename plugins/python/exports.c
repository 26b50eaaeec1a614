/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The callbacks about exports. Any thread; they take the interpreter's lock and call script and
 * answer.
 */
#include "callbacks.h"

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "answer.h"
#include "fault.h"
#include "script.h"

/* Adds NAME or (NAME, DESCRIPTION). Returns 0, -1 after logging, or -2 if it is neither. */
static int add_export(struct nbdkit_exports *exports, PyObject *item)
{
    PyObject *name = item, *description = NULL;

    if (PyTuple_Check(item) || PyList_Check(item)) {
        if (PySequence_Fast_GET_SIZE(item) != 2)
            return -2;
        name = PySequence_Fast_GET_ITEM(item, 0);
        description = PySequence_Fast_GET_ITEM(item, 1);
    }
    if (description == Py_None)
        description = NULL;
    if (!PyUnicode_Check(name) || (description != NULL && !PyUnicode_Check(description)))
        return -2;
    const char *name_text = PyUnicode_AsUTF8(name);
    const char *description_text = description == NULL ? NULL : PyUnicode_AsUTF8(description);
    if (name_text == NULL || (description != NULL && description_text == NULL)) {
        PyErr_Clear();
        return -2;
    }
    return nbdkit_add_export(exports, name_text, description_text);
}

int exports_list(int readonly, int is_tls, struct nbdkit_exports *exports)
{
    WITH_INTERPRETER;
    int result = 0;

    if (!script_has(SCRIPT_LIST_EXPORTS))
        return nbdkit_use_default_export(exports);
    CLEANUP_REFERENCE PyObject *answer = script_call(
        SCRIPT_LIST_EXPORTS, SCRIPT_ARGUMENTS(PyBool_FromLong(readonly), PyBool_FromLong(is_tls)));
    CLEANUP_REFERENCE PyObject *iterator = answer == NULL ? NULL : PyObject_GetIter(answer);
    if (iterator == NULL) {
        if (answer != NULL)
            fault_report("list_exports");
        return -1;
    }
    for (PyObject *item; result == 0 && (item = PyIter_Next(iterator)) != NULL; Py_DECREF(item)) {
        result = add_export(exports, item);
        if (result == -2)
            fault_reject("list_exports", item,
                         "return names and pairs (name, description) of strings");
    }
    if (PyErr_Occurred() == NULL)
        return result == 0 ? 0 : -1;
    fault_report("list_exports");
    return -1;
}

const char *exports_get_default(int readonly, int is_tls)
{
    WITH_INTERPRETER;

    if (!script_has(SCRIPT_DEFAULT_EXPORT))
        return "";
    return answer_read_text(
        SCRIPT_DEFAULT_EXPORT,
        script_call(SCRIPT_DEFAULT_EXPORT,
                    SCRIPT_ARGUMENTS(PyBool_FromLong(readonly), PyBool_FromLong(is_tls))));
}

const char *exports_describe(void *handle)
{
    WITH_INTERPRETER;

    if (!script_has(SCRIPT_EXPORT_DESCRIPTION))
        return NULL;
    return answer_read_text(
        SCRIPT_EXPORT_DESCRIPTION,
        script_call(SCRIPT_EXPORT_DESCRIPTION, SCRIPT_ARGUMENTS(Py_NewRef(handle))));
}
