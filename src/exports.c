// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns lists of exports. Entered by the session's thread; calls log.
 */
#include "exports.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#define NBDKIT_API_VERSION 2
#include "nbdkit-plugin.h"
#include "wire.h"

struct nbdkit_exports {
    struct export_entry *array;
    size_t count;
    size_t capacity;
    bool wants_default;
};

struct nbdkit_exports *exports_new(void)
{
    return calloc(1, sizeof(struct nbdkit_exports));
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

bool exports_wants_default(const struct nbdkit_exports *exports)
{
    return exports->wants_default;
}

/* The length in bytes of the UTF-8 sequence at `s`, 0 if it is not one. */
static size_t sequence_length(const unsigned char *s)
{
    static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
    size_t length = s[0] < 0x80             ? 1
                    : (s[0] & 0xe0) == 0xc0 ? 2
                    : (s[0] & 0xf0) == 0xe0 ? 3
                    : (s[0] & 0xf8) == 0xf0 ? 4
                                            : 0;

    if (length < 2)
        return length;
    uint32_t code = s[0] & (0x7fU >> length);
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (s[i] & 0x3f);
    }
    bool is_surrogate = code >= 0xd800 && code <= 0xdfff;
    return code < smallest[length] || code > 0x10ffff || is_surrogate ? 0 : length;
}

bool exports_is_valid_string(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;

    if (strlen(text) > WIRE_STRING_MAX)
        return false;
    while (*s) {
        size_t length = sequence_length(s);
        if (length == 0)
            return false;
        s += length;
    }
    return true;
}

static int refuse(const char *what, int error)
{
    log_error("nbdkit_add_export: %s", what);
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
