// SPDX-License-Identifier: BSD-3-Clause
/*
 * Finds plugins. Entered by the main thread at start-up; calls log.
 */
#include "locate.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "log.h"

/* The structures for this machine's word size. */
#if __SIZEOF_POINTER__ == 8
typedef Elf64_Ehdr elf_header;
typedef Elf64_Phdr elf_segment;
typedef Elf64_Dyn elf_dynamic;
#else
typedef Elf32_Ehdr elf_header;
typedef Elf32_Phdr elf_segment;
typedef Elf32_Dyn elf_dynamic;
#endif

/* Does the dynamic section say that this is a program (as static ones do)? */
static bool has_program_flag(int fd, const elf_segment *segment)
{
    elf_dynamic entry;

    for (size_t at = 0; at + sizeof entry <= segment->p_filesz; at += sizeof entry) {
        off_t where = (off_t)(segment->p_offset + at);
        if (pread(fd, &entry, sizeof entry, where) != (ssize_t)sizeof entry ||
            entry.d_tag == DT_NULL)
            return false;
        if (entry.d_tag == DT_FLAGS_1)
            return entry.d_un.d_val & DF_1_PIE;
    }
    return false;
}

/* A position-independent program looks like a shared object, but for one of two signs. */
static bool is_program(int fd, const elf_header *header)
{
    for (unsigned i = 0; i < header->e_phnum; i++) {
        elf_segment segment;
        off_t where = (off_t)(header->e_phoff + i * sizeof segment);
        if (pread(fd, &segment, sizeof segment, where) != (ssize_t)sizeof segment)
            return false;
        if (segment.p_type == PT_INTERP ||
            (segment.p_type == PT_DYNAMIC && has_program_flag(fd, &segment)))
            return true;
    }
    return false;
}

static bool is_shared_object(const char *path)
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    elf_header header;

    if (fd < 0 || pread(fd, &header, sizeof header, 0) != (ssize_t)sizeof header)
        return false;
    return memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 && header.e_type == ET_DYN &&
           !is_program(fd, &header);
}

char *locate_program(void)
{
    return realpath("/proc/self/exe", NULL);
}

/* The build tree has its plugins in a folder beside the program. */
char *locate_plugin_folder(void)
{
    CLEANUP_FREE char *program = locate_program();
    char *folder;

    if (program) {
        *strrchr(program, '/') = '\0';
        if (asprintf(&folder, "%s/plugins", program) < 0)
            return NULL;
        CLEANUP_FREE char *mark = NULL;
        if (asprintf(&mark, "%s/nbdkit-sh-plugin.so", folder) >= 0 && access(mark, F_OK) == 0)
            return folder;
        free(folder);
    }
    return strdup(PLUGIN_FOLDER);
}

/* Returns FOLDER/nbdkit-NAME-plugin.so if it is there, else NULL; free(3) it. */
static char *find_in_folder(const char *folder, size_t folder_length, const char *name)
{
    char *path;

    if (asprintf(&path, "%.*s/nbdkit-%s-plugin.so", (int)folder_length, folder, name) < 0)
        return NULL;
    if (access(path, F_OK) == 0)
        return path;
    free(path);
    return NULL;
}

static char *find_by_name(const char *name)
{
    const char *folder = getenv("NBDLAB_PLUGIN_PATH");

    while (folder && *folder) {
        size_t length = strcspn(folder, ":");
        char *path = length ? find_in_folder(folder, length, name) : NULL;
        if (path)
            return path;
        folder += length + (folder[length] == ':');
    }
    CLEANUP_FREE char *own = locate_plugin_folder();
    return own ? find_in_folder(own, strlen(own), name) : NULL;
}

static int locate_by_name(const char *name, struct locate_result *result)
{
    result->is_script = false;
    result->path = find_by_name(name);
    if (result->path)
        return 0;

    CLEANUP_FREE char *own = locate_plugin_folder();
    log_error("cannot find plugin '%s': there is no nbdkit-%s-plugin.so in $NBDLAB_PLUGIN_PATH "
              "or %s%s%s",
              name, name, own ? own : PLUGIN_FOLDER,
              access(name, F_OK) == 0 ? "; for the file of that name here, say ./" : "",
              access(name, F_OK) == 0 ? name : "");
    return -1;
}

static int locate_by_path(const char *path, struct locate_result *result)
{
    struct stat status;

    if (stat(path, &status) < 0) {
        log_error("cannot open plugin %s: %m", path);
        return -1;
    }
    if (S_ISDIR(status.st_mode)) {
        log_error("cannot open plugin %s: it is a directory", path);
        return -1;
    }
    if (is_shared_object(path)) {
        result->is_script = false;
        result->path = strdup(path);
        return result->path ? 0 : -1;
    }
    if (access(path, X_OK) < 0) {
        log_error("cannot use %s: it is neither a shared object (a compiled plugin) nor an "
                  "executable script; if it is a script, run: chmod +x %s",
                  path, path);
        return -1;
    }
    int found = locate_by_name("sh", result);
    result->is_script = true;
    return found;
}

int locate_plugin(const char *name, struct locate_result *result)
{
    return strchr(name, '/') ? locate_by_path(name, result) : locate_by_name(name, result);
}
