/* SPDX-License-Identifier: BSD-3-Clause */
/* From the plugin's name on the command line to a file. */
#ifndef LOCATE_H
#define LOCATE_H

struct locate_result {
    char *path;   /* of the shared object */
    char *script; /* what the plugin at `path` shall get as script=, or NULL */
};

/*
 * Finds plugin `name`: a path (anything with a slash), or a word that stands
 * for nbdkit-NAME-plugin.so, or for an executable script nbdkit-NAME-plugin, in a
 * folder of $NBDLAB_PLUGIN_PATH, in the build tree, in the installed plugin
 * folder, or in an installed nbdkit's. A script is for the plugin that its
 * first line names, or else for the sh plugin. Returns 0, then locate_free()
 * frees *result; or -1 after logging what was looked for. Main thread.
 */
int locate_plugin(const char *name, struct locate_result *result);
void locate_free(struct locate_result *result);

/*
 * The names by which plugins can be found, sorted, each once, up to a NULL.
 * NULL without memory. locate_free_names() frees them. Main thread.
 */
char **locate_list_names(void);
void locate_free_names(char **names);

/* The folder with the plugins that belong to this program; free(3) it. NULL with errno. */
char *locate_plugin_folder(void);

/* Those folders of nbdkit's plugins that are there, with colons between; free(3) it. NULL with
 * errno. */
char *locate_nbdkit_folders(void);

/* The path of this program; free(3) it. NULL with errno. */
char *locate_program(void);

#endif
