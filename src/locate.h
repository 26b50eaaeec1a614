/* SPDX-License-Identifier: BSD-3-Clause */
/* From the plugin's name on the command line to a file. */
#ifndef LOCATE_H
#define LOCATE_H

#include <stdbool.h>

struct locate_result {
    char *path;     /* of the shared object; free(3) it */
    bool is_script; /* the name was an executable for the sh plugin, which `path` is */
};

/*
 * Finds plugin `name`: a path (anything with a slash), or a word that stands
 * for nbdkit-NAME-plugin.so in a folder of $NBDLAB_PLUGIN_PATH, in the
 * build tree, or in the installed plugin folder. A path of an executable that
 * is not a shared object stands for the sh plugin. Returns 0, or -1 after
 * logging what was looked for. Main thread.
 */
int locate_plugin(const char *name, struct locate_result *result);

/* The folder with the plugins that belong to this program; free(3) it. NULL with errno. */
char *locate_plugin_folder(void);

/* The path of this program; free(3) it. NULL with errno. */
char *locate_program(void);

#endif
