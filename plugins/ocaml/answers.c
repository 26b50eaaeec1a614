// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns nothing. Entered by every thread, with the runtime held; calls the
 * plugin API.
 */
#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "answers.h"

#include <inttypes.h>
#include <stdlib.h>

#include <caml/alloc.h>
#include <caml/memory.h>

#include "methods.h"

int64_t answer_choice(value result, void *unused)
{
    (void)unused;
    return Int_val(result);
}

int64_t answer_size(value result, void *unused)
{
    int64_t size = Int64_val(result);

    (void)unused;
    if (size >= 0)
        return size;
    nbdkit_error("get_size: a disk cannot have %" PRId64 " bytes", size);
    return -1;
}

int64_t answer_handle(value result, void *answer)
{
    value **handle = answer;

    *handle = malloc(sizeof **handle);
    if (!*handle) {
        nbdkit_error("open_connection: %m");
        return -1;
    }
    **handle = result;
    caml_register_generational_global_root(*handle);
    return 0;
}

static const char *get_text(value text, const char *where)
{
    if (caml_string_is_c_safe(text))
        return String_val(text);
    nbdkit_error("%s: the text has a character with the code 0", where);
    return NULL;
}

int64_t answer_text(value result, void *answer)
{
    const char **kept = answer;
    const char *text = get_text(result, "an export's name or description");

    *kept = text ? nbdkit_strdup_intern(text) : NULL;
    return *kept ? 0 : -1;
}

int64_t answer_block_size(value result, void *answer)
{
    const struct block_sizes *sizes = answer;
    int64_t minimum = Long_val(Field(result, 0));
    int64_t preferred = Long_val(Field(result, 1));
    int64_t maximum = Int64_val(Field(result, 2));

    /* -1 is what a number without a limit is, written with a sign. */
    if (maximum == -1)
        maximum = UINT32_MAX;
    if (minimum < 0 || minimum > UINT32_MAX || preferred < 0 || preferred > UINT32_MAX ||
        maximum < 0 || maximum > UINT32_MAX) {
        nbdkit_error("block_size: %" PRId64 ", %" PRId64 ", %" PRId64
                     " are not sizes of a block in bytes",
                     minimum, preferred, maximum);
        return -1;
    }
    *sizes->minimum = (uint32_t)minimum;
    *sizes->preferred = (uint32_t)preferred;
    *sizes->maximum = (uint32_t)maximum;
    return 0;
}

static int add_extent(value extent, struct nbdkit_extents *extents)
{
    int64_t offset = Int64_val(Field(extent, EXTENT_OFFSET));
    int64_t length = Int64_val(Field(extent, EXTENT_LENGTH));
    uint32_t type = (Bool_val(Field(extent, EXTENT_IS_HOLE)) ? NBDKIT_EXTENT_HOLE : 0u) |
                    (Bool_val(Field(extent, EXTENT_IS_ZERO)) ? NBDKIT_EXTENT_ZERO : 0u);

    if (offset < 0 || length < 0) {
        nbdkit_error("extents: an extent at %" PRId64 " with %" PRId64 " bytes cannot be", offset,
                     length);
        return -1;
    }
    return nbdkit_add_extent(extents, (uint64_t)offset, (uint64_t)length, type);
}

int64_t answer_extents(value result, void *answer)
{
    for (; Is_block(result); result = Field(result, 1))
        if (add_extent(Field(result, 0), answer) < 0)
            return -1;
    return 0;
}

static int add_export(value export, struct nbdkit_exports *exports)
{
    value described = Field(export, EXPORT_DESCRIPTION);
    const char *name = get_text(Field(export, EXPORT_NAME), "list_exports");
    const char *description =
        name && Is_block(described) ? get_text(Field(described, 0), "list_exports") : NULL;

    if (!name || (Is_block(described) && !description))
        return -1;
    return nbdkit_add_export(exports, name, description);
}

int64_t answer_exports(value result, void *answer)
{
    for (; Is_block(result); result = Field(result, 1))
        if (add_export(Field(result, 0), answer) < 0)
            return -1;
    return 0;
}
