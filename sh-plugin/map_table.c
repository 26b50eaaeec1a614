/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Makes a map out of what the script printed. Owns struct map; entered by the
 * thread that opens or closes the connection, and for look-ups by any. Calls
 * map_parse, fileio, text and call.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "map_table.h"
#include "text.h"

/* What is needed while the map is built. */
struct builder {
    const struct call *call;
    struct map *map;
    struct map_parse parse;
    struct fileio_options options;
    void *paths; /* tree of the files, by path */
};

/* Fails because of the current line. Returns -1. */
static int fail_at_line(const struct builder *builder, int error, const char *problem)
{
    const struct parse_lines *lines = &builder->parse.lines;
    CLEANUP_FREE char *shown = text_join_lines(lines->line, strlen(lines->line));

    return call_refuse(builder->call, error, "line %zu, '%.200s': %s", lines->number,
                       shown == NULL ? "" : shown, problem);
}

static int fail_without_memory(void)
{
    return call_fail("map", ENOMEM, "no memory");
}

static int compare_paths(const void *a, const void *b)
{
    const struct map_file *one = a, *other = b;

    return strcmp(one->io.name, other->io.name);
}

static int fail_to_open(const struct builder *builder, int error)
{
    CLEANUP_FREE char *problem = NULL;
    bool is_relative = builder->parse.path[0] != '/';
    bool is_forbidden = error == EACCES || error == EPERM || error == EROFS || error == ETXTBSY;

    if (asprintf(&problem, "%s: %s%s%s", builder->parse.path, fileio_explain_open(error),
                 is_relative ? " (a relative path starts in the server's working directory)" : "",
                 is_forbidden && builder->options.must_write
                     ? ": it must be writable, or can_write has to say no"
                     : "") < 0) {
        problem = NULL;
        return fail_without_memory();
    }
    return fail_at_line(builder, error, problem);
}

/* Opens the current line's file. Returns it, or NULL after the error was logged. */
static struct map_file *open_file(struct builder *builder)
{
    struct map_file *file = calloc(1, sizeof(*file));

    if (file == NULL) {
        fail_without_memory();
        return NULL;
    }
    if (fileio_open_file(&file->io, AT_FDCWD, builder->parse.path, &builder->options) < 0) {
        fail_to_open(builder, errno);
        free(file);
        return NULL;
    }
    file->can_find_extents = fileio_can_find_extents(&file->io);
    file->next = builder->map->files;
    builder->map->files = file;
    return file;
}

/* The current line's file, opened when it is named for the first time. */
static struct map_file *get_file(struct builder *builder)
{
    struct map_file named = { .io.name = builder->parse.path };
    struct map_file **found = tfind(&named, &builder->paths, compare_paths);

    if (found != NULL)
        return *found;
    struct map_file *file = open_file(builder);
    if (file != NULL && tsearch(file, &builder->paths, compare_paths) == NULL) {
        fail_without_memory();
        return NULL;
    }
    return file;
}

static int attach_file(struct builder *builder, struct map_entry *entry)
{
    char problem[200];

    entry->file = get_file(builder);
    if (entry->file == NULL)
        return -1;
    uint64_t end = entry->range.file_offset + entry->range.length;
    if (end <= entry->file->io.size_bytes)
        return 0;
    snprintf(problem, sizeof(problem),
             "the range ends at byte %" PRIu64 " of the file, which has %" PRIu64
             " bytes: make the file longer or the range shorter",
             end, entry->file->io.size_bytes);
    return fail_at_line(builder, EINVAL, problem);
}

static int append(struct map *map, const struct map_entry *entry)
{
    if (map->count == map->capacity) {
        size_t capacity = map->capacity == 0 ? 16 : 2 * map->capacity;
        struct map_entry *entries = reallocarray(map->entries, capacity, sizeof(*entries));

        if (entries == NULL)
            return fail_without_memory();
        map->entries = entries;
        map->capacity = capacity;
    }
    map->entries[map->count++] = *entry;
    return 0;
}

static int add_range(struct builder *builder, const struct map_range *range)
{
    struct map_entry entry = { .range = *range, .line = builder->parse.lines.number };

    /* As if it had been left out. */
    if (range->kind == MAP_SCRIPT && range->delay_ns == 0)
        return 0;
    if (range->kind == MAP_FILE && attach_file(builder, &entry) < 0)
        return -1;
    builder->map->has_zeroes |= range->kind == MAP_ZERO;
    return append(builder->map, &entry);
}

static int add_lines(struct builder *builder)
{
    struct map_range range;
    int result;

    while ((result = map_parse_next(&builder->parse, &range)) > 0)
        if (add_range(builder, &range) < 0)
            return -1;
    return result == 0 ? 0 : fail_at_line(builder, EINVAL, builder->parse.problem);
}

/* The tree's nodes belong to the list of files. */
static void forget_node(void *node)
{
    (void)node;
}

struct map *map_build(const struct call *call, uint64_t disk_bytes, bool is_readonly)
{
    CLEANUP_FREE struct builder *builder = calloc(1, sizeof(*builder));
    struct map *map = calloc(1, sizeof(*map));

    if (builder == NULL || map == NULL) {
        fail_without_memory();
        free(map);
        return NULL;
    }
    builder->map = map;
    builder->call = call;
    builder->parse.lines.next = buf_get_text(call->output);
    builder->parse.disk_bytes = disk_bytes;
    builder->options.is_readonly = is_readonly;
    builder->options.must_write = !is_readonly;
    builder->options.advice = POSIX_FADV_NORMAL;
    int result = add_lines(builder);
    tdestroy(builder->paths, forget_node);
    if (result == 0)
        return map;
    map_free(map);
    return NULL;
}

void map_free(struct map *map)
{
    if (map == NULL)
        return;
    while (map->files != NULL) {
        struct map_file *file = map->files;

        map->files = file->next;
        fileio_close_file(&file->io);
        free(file);
    }
    free(map->entries);
    free(map);
}

size_t map_find(const struct map *map, uint64_t offset)
{
    size_t low = 0, high = map->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct map_range *range = &map->entries[middle].range;

        if (range->offset + range->length > offset)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}
