// SPDX-License-Identifier: BSD-3-Clause
/*
 * Finds plugins. Entered by the main thread at start-up; calls shebang,
 * nearest and log.
 */
#include "locate.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "log.h"
#include "nearest.h"
#include "noexec.h"
#include "shebang.h"

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
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
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

/* Returns the folder if the plugins of this program are there, else NULL. Takes it over. */
static char *keep_if_ours(char *folder)
{
    CLEANUP_FREE char *mark = NULL;

    if (asprintf(&mark, "%s/nbdkit-sh-plugin.so", folder) >= 0 && access(mark, F_OK) == 0)
        return folder;
    free(folder);
    return NULL;
}

/*
 * The build tree has its plugins in a folder beside the program. An installed
 * program may have been moved along with them, as with DESTDIR.
 */
char *locate_plugin_folder(void)
{
    CLEANUP_FREE char *program = locate_program();
    char *slash = program ? strrchr(program, '/') : NULL;
    size_t length = slash ? (size_t)(slash - program) : 0;
    size_t ending = strlen(BIN_FOLDER);
    char *folder;

    if (slash && asprintf(&folder, "%.*s/plugins", (int)length, program) >= 0 &&
        (folder = keep_if_ours(folder)))
        return folder;
    if (slash && length > ending && memcmp(slash - ending, BIN_FOLDER, ending) == 0 &&
        asprintf(&folder, "%.*s%s", (int)(length - ending), program, PLUGIN_FOLDER) >= 0 &&
        (folder = keep_if_ours(folder)))
        return folder;
    return strdup(PLUGIN_FOLDER);
}

/* All folders in the order in which they are looked through, with colons between; free(3) it. */
static char *list_folders(void)
{
    const char *chosen = getenv("NBDLAB_PLUGIN_PATH");
    CLEANUP_FREE char *own = locate_plugin_folder();
    char *list;

    if (asprintf(&list, "%s:%s:%s", chosen ? chosen : "", own ? own : PLUGIN_FOLDER,
                 NBDKIT_FOLDERS) < 0)
        return NULL;
    return list;
}

char *locate_nbdkit_folders(void)
{
    char folders[] = NBDKIT_FOLDERS;
    char *found = calloc(1, sizeof folders);
    char *rest = folders;

    for (char *folder; found && (folder = strsep(&rest, ":"));)
        if (*folder && access(folder, F_OK) == 0) {
            strcat(found, *found ? ":" : "");
            strcat(found, folder);
        }
    return found;
}

static bool is_nbdkits(const char *path)
{
    char folders[] = NBDKIT_FOLDERS;
    char *rest = folders;

    for (char *folder; (folder = strsep(&rest, ":"));) {
        size_t length = strlen(folder);
        if (length > 0 && strncmp(path, folder, length) == 0 && path[length] == '/')
            return true;
    }
    return false;
}

/* Returns FOLDER/nbdkit-NAME-plugin and the ending if it is there, else NULL; free(3) it. */
static char *find_file(const char *folder, const char *name, const char *ending)
{
    char *path;

    if (asprintf(&path, "%s/nbdkit-%s-plugin%s", folder, name, ending) < 0)
        return NULL;
    if (access(path, F_OK) == 0)
        return path;
    free(path);
    return NULL;
}

static bool is_script(const char *path)
{
    return access(path, X_OK) == 0 && shebang_is_there(path);
}

/* Returns the path of the shared object or of the script that `name` stands for in the folder. */
static char *find_in_folder(const char *folder, const char *name)
{
    char *path = find_file(folder, name, ".so");

    if (path)
        return path;
    path = find_file(folder, name, "");
    if (path && is_script(path))
        return path;
    free(path);
    return NULL;
}

static char *find_by_name(const char *name)
{
    CLEANUP_FREE char *folders = list_folders();
    char *rest = folders;
    char *path = NULL;

    for (char *folder; !path && (folder = strsep(&rest, ":"));)
        if (*folder)
            path = find_in_folder(folder, name);
    if (path && is_nbdkits(path))
        log_debug("plugin %s is nbdkit's, as nbdlab's folders have none of that name: %s", name,
                  path);
    return path;
}

/* The NAME in nbdkit-NAME-plugin and nbdkit-NAME-plugin.so; NULL in other files' names. */
static char *take_plugin_name(const char *file)
{
    static const char start[] = "nbdkit-";
    static const char end[] = "-plugin";
    size_t length = strlen(file);

    if (length > 3 && strcmp(file + length - 3, ".so") == 0)
        length -= 3;
    if (length <= strlen(start) + strlen(end) || strncmp(file, start, strlen(start)) != 0 ||
        strncmp(file + length - strlen(end), end, strlen(end)) != 0)
        return NULL;
    return strndup(file + strlen(start), length - strlen(start) - strlen(end));
}

struct names {
    char **all; /* up to a NULL */
    size_t count;
};

/* Takes over `name`, which may be NULL. */
static void add_name(struct names *names, char *name)
{
    char **grown = name ? reallocarray(names->all, names->count + 2, sizeof *grown) : NULL;

    if (!grown) {
        free(name);
        return;
    }
    grown[names->count++] = name;
    grown[names->count] = NULL;
    names->all = grown;
}

static void list_folder(const char *folder, struct names *names)
{
    DIR *stream = opendir(folder);

    for (struct dirent *entry; stream && (entry = readdir(stream));) {
        CLEANUP_FREE char *name = take_plugin_name(entry->d_name);
        CLEANUP_FREE char *path = name ? find_in_folder(folder, name) : NULL;
        if (path)
            add_name(names, strdup(name));
    }
    if (stream)
        closedir(stream);
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

char **locate_list_names(void)
{
    CLEANUP_FREE char *folders = list_folders();
    struct names names = { .all = calloc(1, sizeof *names.all) };
    char *rest = folders;
    size_t kept = 0;

    if (!names.all)
        return NULL;
    for (char *folder; (folder = strsep(&rest, ":"));)
        if (*folder)
            list_folder(folder, &names);
    qsort(names.all, names.count, sizeof *names.all, compare_names);
    for (size_t i = 0; i < names.count; i++)
        if (kept > 0 && strcmp(names.all[kept - 1], names.all[i]) == 0)
            free(names.all[i]);
        else
            names.all[kept++] = names.all[i];
    names.all[kept] = NULL;
    return names.all;
}

void locate_free_names(char **names)
{
    for (char **name = names; name && *name; name++)
        free(*name);
    free(names);
}

/* The names with commas between, for free(3); or NULL. */
static char *join_names(char **names)
{
    char *joined = NULL;
    size_t length;
    FILE *stream = open_memstream(&joined, &length);

    for (char **name = names; stream && name && *name; name++)
        fprintf(stream, "%s%s", name == names ? "" : ", ", *name);
    if (stream)
        fclose(stream);
    return joined;
}

static int refuse_name(const char *name)
{
    CLEANUP_FREE char *own = locate_plugin_folder();
    CLEANUP_FREE char *nbdkits = locate_nbdkit_folders();
    char **names = locate_list_names();
    CLEANUP_FREE char *joined = join_names(names);
    const char *nearest = nearest_find(name, names);
    bool is_here = access(name, F_OK) == 0;

    if (*name == '\0') {
        locate_free_names(names);
        log_error("the name of the plugin is empty: give a name, or the path of a file");
        return -1;
    }
    log_error("cannot find plugin '%s'%s%s%s: there is no nbdkit-%s-plugin.so in "
              "$NBDLAB_PLUGIN_PATH, %s%s%s%s%s; there are %s",
              name, nearest ? " (did you mean " : "", nearest ? nearest : "", nearest ? "?)" : "",
              name, own ? own : PLUGIN_FOLDER, nbdkits && *nbdkits ? ", " : "",
              nbdkits ? nbdkits : "", is_here ? "; for the file of that name here, say ./" : "",
              is_here ? name : "", joined && *joined ? joined : "none");
    locate_free_names(names);
    return -1;
}

static int refuse_first_line(const char *script, const char *why)
{
    log_error("cannot use %s: its first line %s", script, why);
    return -1;
}

/*
 * `script` is for the plugin that its first line names, as in "#!/usr/bin/nbdkit
 * python", without any run of that nbdkit. All others are for the sh plugin.
 */
static int locate_for_script(const char *script, struct locate_result *result)
{
    CLEANUP_FREE char *named = shebang_read_plugin(script);
    const char *name = named ? named : "sh";

    if (*name == '\0')
        return refuse_first_line(script, "names no plugin");
    if (*name == '-' || strpbrk(name, " \t"))
        return refuse_first_line(script, "has more than the name of a plugin: run it as a command");
    if (named && strcmp(name, "sh") == 0)
        return refuse_first_line(script, "would have the sh plugin run it for ever: name a shell");
    result->path = strchr(name, '/') ? strdup(name) : find_by_name(name);
    if (!result->path)
        return refuse_name(name);
    if (!is_shared_object(result->path))
        return refuse_first_line(script, "names something else than a compiled plugin");
    result->script = strdup(script);
    return result->script ? 0 : -1;
}

static int locate_by_name(const char *name, struct locate_result *result)
{
    CLEANUP_FREE char *path = find_by_name(name);

    if (!path)
        return refuse_name(name);
    if (is_script(path))
        return locate_for_script(path, result);
    result->path = path;
    path = NULL;
    return 0;
}

/* Neither a plugin nor a script that can be run: what it may be, going by its name. */
static void refuse_file(const char *path)
{
    static const struct {
        const char *ending;
        const char *what;
        const char *remedy;
        bool has_path; /* the remedy's end */
    } kinds[] = {
        { ".c", "the source of a plugin", "compile it and serve it with: nbdlab cc ", true },
        { ".py", "not executable", "if it is a plugin in Python, say: nbdlab python ", true },
        { ".ml", "the source of a plugin", "compile it first, see nbdlab-ocaml-plugin(3)", false },
        { ".rs", "the source of a plugin", "compile it first, see nbdlab-rust-plugin(3)", false },
        { ".so", "no shared object (a compiled plugin) of this machine's kind",
          "compile it with -shared", false },
        { "", "neither a shared object (a compiled plugin) nor an executable script",
          "if it is a script, run: chmod +x ", true },
    };
    const char *dot = strrchr(path, '.');
    size_t i = 0;

    while (*kinds[i].ending && !(dot && strcmp(dot, kinds[i].ending) == 0))
        i++;
    log_error("cannot use %s: it is %s; %s%s", path, kinds[i].what, kinds[i].remedy,
              kinds[i].has_path ? path : "");
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
        result->path = strdup(path);
        return result->path ? 0 : -1;
    }
    if (access(path, X_OK) == 0)
        return locate_for_script(path, result);
    if (!(status.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)))
        refuse_file(path);
    else if (noexec_holds(path))
        log_error("cannot use %s: no program can be run from this file system, which is mounted "
                  "with the option noexec: copy the script to another one",
                  path);
    else
        log_error("cannot use %s: it is executable, but not for this user: let its owner run: "
                  "chmod a+rx %s",
                  path, path);
    return -1;
}

int locate_plugin(const char *name, struct locate_result *result)
{
    *result = (struct locate_result){ .path = NULL };
    int found = strchr(name, '/') ? locate_by_path(name, result) : locate_by_name(name, result);
    if (found < 0)
        locate_free(result);
    return found;
}

void locate_free(struct locate_result *result)
{
    free(result->path);
    free(result->script);
    *result = (struct locate_result){ .path = NULL };
}
