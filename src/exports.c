// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns lists of exports. Entered by the session's thread.
 */
#include "exports.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include "nbdkit-plugin.h"
#include "utf8.h"
#include "wire.h"

struct nbdkit_exports {
    struct export_entry *array;
    size_t count;
    size_t capacity;
    bool wants_default;
};

struct nbdkit_exports *nbdkit_exports_new(void)
{
    struct nbdkit_exports *exports = calloc(1, sizeof *exports);

    if (!exports)
        nbdkit_error("nbdkit_exports_new: %m");
    return exports;
}

void nbdkit_exports_free(struct nbdkit_exports *exports)
{
    if (!exports)
        return;
    for (size_t i = 0; i < exports->count; i++) {
        free(exports->array[i].name);
        free(exports->array[i].description);
    }
    free(exports->array);
    free(exports);
}

const struct export_entry *exports_get(const struct nbdkit_exports *exports, size_t *count)
{
    *count = exports->count;
    return exports->array;
}

size_t nbdkit_exports_count(const struct nbdkit_exports *exports)
{
    return exports->count;
}

struct nbdkit_export nbdkit_get_export(const struct nbdkit_exports *exports, size_t i)
{
    if (i >= exports->count) {
        nbdkit_error("nbdkit_get_export: there is no export %zu, as there are %zu", i,
                     exports->count);
        return (struct nbdkit_export){ NULL, NULL };
    }
    const struct export_entry *entry = &exports->array[i];
    return (struct nbdkit_export){ entry->name, entry->description };
}

bool exports_wants_default(const struct nbdkit_exports *exports)
{
    return exports->wants_default;
}

bool exports_is_valid_string(const char *text)
{
    return utf8_is_valid(text, WIRE_STRING_MAX);
}

static int refuse(const char *what, int error)
{
    nbdkit_error("nbdkit_add_export: %s", what);
    errno = error;
    return -1;
}

int nbdkit_add_export(struct nbdkit_exports *exports, const char *name, const char *description)
{
    if (exports->count == EXPORTS_MAX)
        return refuse("more than 10000 exports", EINVAL);
    if (!exports_is_valid_string(name))
        return refuse("a name must be UTF-8 of at most 4096 bytes", EINVAL);
    if (description && !exports_is_valid_string(description))
        return refuse("a description must be UTF-8 of at most 4096 bytes", EINVAL);
    if (exports->count == exports->capacity) {
        size_t capacity = exports->capacity ? 2 * exports->capacity : 16;
        struct export_entry *array = reallocarray(exports->array, capacity, sizeof *array);
        if (!array)
            return refuse("out of memory", ENOMEM);
        exports->array = array;
        exports->capacity = capacity;
    }
    struct export_entry entry = { strdup(name), description ? strdup(description) : NULL };
    if (!entry.name || (description && !entry.description)) {
        free(entry.name);
        free(entry.description);
        return refuse("out of memory", ENOMEM);
    }
    exports->array[exports->count++] = entry;
    return 0;
}

int nbdkit_use_default_export(struct nbdkit_exports *exports)
{
    exports->wants_default = true;
    return 0;
}
