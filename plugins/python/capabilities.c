/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The callbacks that ask the script what its disk is and can. Any thread; they take the
 * interpreter's lock and call script and answer.
 */
#include "callbacks.h"

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "answer.h"
#include "fault.h"
#include "script.h"

static PyObject *ask(enum script_function function, void *handle)
{
    return script_call(function, SCRIPT_ARGUMENTS(Py_NewRef(handle)));
}

int64_t capabilities_get_size(void *handle)
{
    WITH_INTERPRETER;

    return answer_read_integer(SCRIPT_GET_SIZE, ask(SCRIPT_GET_SIZE, handle), 0, INT64_MAX,
                               "return the disk's size in bytes, an integer from 0 to 2**63 - 1");
}

int capabilities_block_size(void *handle, uint32_t *minimum, uint32_t *preferred, uint32_t *maximum)
{
    WITH_INTERPRETER;
    *minimum = *preferred = *maximum = 0;
    if (!script_has(SCRIPT_BLOCK_SIZE))
        return 0;
    CLEANUP_REFERENCE PyObject *answer = ask(SCRIPT_BLOCK_SIZE, handle);
    if (answer == NULL)
        return -1;
    unsigned long long sizes[3];
    if (answer_read_triple(answer, sizes) == 0 && sizes[0] <= UINT32_MAX &&
        sizes[1] <= UINT32_MAX && sizes[2] <= UINT32_MAX) {
        *minimum = (uint32_t)sizes[0];
        *preferred = (uint32_t)sizes[1];
        *maximum = (uint32_t)sizes[2];
        return 0;
    }
    fault_reject("block_size", answer, "return a triple of bytes: (minimum, preferred, maximum)");
    return -1;
}

/* The script's answer to a question, or `fallback` where it has no such function. */
static int ask_boolean(enum script_function question, void *handle, int fallback)
{
    return script_has(question) ? answer_read_boolean(question, ask(question, handle)) : fallback;
}

/* Can the script do what `function` does? A yes without the function counts as a no. */
static int can(enum script_function question, enum script_function function, void *handle)
{
    WITH_INTERPRETER;
    int has_function = script_has(function);
    int answer = ask_boolean(question, handle, has_function);

    return answer == 1 ? has_function : answer;
}

int capabilities_can_write(void *handle)
{
    return can(SCRIPT_CAN_WRITE, SCRIPT_PWRITE, handle);
}

int capabilities_can_flush(void *handle)
{
    return can(SCRIPT_CAN_FLUSH, SCRIPT_FLUSH, handle);
}

int capabilities_can_trim(void *handle)
{
    return can(SCRIPT_CAN_TRIM, SCRIPT_TRIM, handle);
}

int capabilities_can_zero(void *handle)
{
    return can(SCRIPT_CAN_ZERO, SCRIPT_ZERO, handle);
}

int capabilities_can_extents(void *handle)
{
    return can(SCRIPT_CAN_EXTENTS, SCRIPT_EXTENTS, handle);
}

/* Without a zero function that can be fast, each fast zero fails, and that is fast. */
int capabilities_can_fast_zero(void *handle)
{
    int can_zero = capabilities_can_zero(handle);
    WITH_INTERPRETER;

    if (can_zero == -1)
        return -1;
    return ask_boolean(SCRIPT_CAN_FAST_ZERO, handle, !can_zero || script_get_api_version() == 1);
}

int capabilities_can_multi_conn(void *handle)
{
    WITH_INTERPRETER;

    return ask_boolean(SCRIPT_CAN_MULTI_CONN, handle, 0);
}

int capabilities_is_rotational(void *handle)
{
    WITH_INTERPRETER;

    return ask_boolean(SCRIPT_IS_ROTATIONAL, handle, 0);
}

/* Functions of API version 1 do not get the flag, so that the server flushes for them. */
int capabilities_can_fua(void *handle)
{
    WITH_INTERPRETER;
    bool has_flush = script_has(SCRIPT_FLUSH);

    if (!script_has(SCRIPT_CAN_FUA))
        return has_flush ? NBDKIT_FUA_EMULATE : NBDKIT_FUA_NONE;
    int degree = (int)answer_read_integer(
        SCRIPT_CAN_FUA, ask(SCRIPT_CAN_FUA, handle), NBDKIT_FUA_NONE, NBDKIT_FUA_NATIVE,
        "return nbdkit.FUA_NONE, nbdkit.FUA_EMULATE or nbdkit.FUA_NATIVE");
    if (degree == NBDKIT_FUA_NATIVE && script_get_api_version() == 1)
        degree = NBDKIT_FUA_EMULATE;
    return degree == NBDKIT_FUA_EMULATE && !has_flush ? NBDKIT_FUA_NONE : degree;
}

int capabilities_can_cache(void *handle)
{
    WITH_INTERPRETER;

    if (!script_has(SCRIPT_CAN_CACHE))
        return script_has(SCRIPT_CACHE) ? NBDKIT_CACHE_NATIVE : NBDKIT_CACHE_NONE;
    return (int)answer_read_integer(
        SCRIPT_CAN_CACHE, ask(SCRIPT_CAN_CACHE, handle), NBDKIT_CACHE_NONE, NBDKIT_CACHE_NATIVE,
        "return nbdkit.CACHE_NONE, nbdkit.CACHE_EMULATE or nbdkit.CACHE_NATIVE");
}
