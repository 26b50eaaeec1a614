// SPDX-License-Identifier: BSD-3-Clause
/*
 * Prints facts for scripts. Entered by the main thread at start-up; calls
 * plugin and locate.
 */
#include "dump.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/utsname.h>

#include "cleanup.h"
#include "locate.h"
#include "log.h"
#define NBDKIT_API_VERSION 2
#include "nbdkit-plugin.h"
#include "plugin.h"
#include "tls_credentials.h"

#define CALLBACK(member)                                                                           \
    {                                                                                              \
#member, offsetof(struct nbdkit_plugin, member)                                            \
    }

static const struct {
    const char *name;
    size_t offset;
} callbacks[] = {
    CALLBACK(longname),
    CALLBACK(description),
    CALLBACK(load),
    CALLBACK(unload),
    CALLBACK(dump_plugin),
    CALLBACK(config),
    CALLBACK(config_complete),
    CALLBACK(config_help),
    CALLBACK(thread_model),
    CALLBACK(get_ready),
    CALLBACK(after_fork),
    CALLBACK(cleanup),
    CALLBACK(preconnect),
    CALLBACK(list_exports),
    CALLBACK(default_export),
    CALLBACK(open),
    CALLBACK(close),
    CALLBACK(export_description),
    CALLBACK(get_size),
    CALLBACK(block_size),
    CALLBACK(can_write),
    CALLBACK(can_flush),
    CALLBACK(is_rotational),
    CALLBACK(can_trim),
    CALLBACK(can_zero),
    CALLBACK(can_fast_zero),
    CALLBACK(can_extents),
    CALLBACK(can_fua),
    CALLBACK(can_multi_conn),
    CALLBACK(can_cache),
    CALLBACK(pread),
    CALLBACK(pwrite),
    CALLBACK(flush),
    CALLBACK(trim),
    CALLBACK(zero),
    CALLBACK(extents),
    CALLBACK(cache),
};

void dump_config(void)
{
    CLEANUP_FREE char *program = locate_program();
    CLEANUP_FREE char *folder = locate_plugin_folder();
    CLEANUP_FREE char *nbdkits = locate_nbdkit_folders();
    struct utsname host;

    uname(&host);
    printf("binary=%s\n", program ? program : "");
    printf("bindir=%s\n", BIN_FOLDER);
    printf("exit_with_parent=yes\n");
    printf("filterdir=%s/nbdlab/filters\n", LIB_FOLDER);
    printf("host_cpu=%s\n", host.machine);
    printf("host_os=linux-gnu\n");
    printf("libdir=%s\n", LIB_FOLDER);
    printf("mandir=%s\n", MAN_FOLDER);
    printf("max_api_version=%d\n", NBDKIT_API_VERSION);
    printf("name=%s\n", log_get_program());
    printf("nbdkit_plugindir=%s\n", nbdkits ? nbdkits : "");
    printf("nbdlab_version=%s\n", NBDLAB_VERSION);
    printf("plugindir=%s\n", folder ? folder : PLUGIN_FOLDER);
    printf("root_tls_certificates_dir=%s/pki/nbdkit\n", SYSCONF_FOLDER);
    printf("run_default_socket=Unix\n");
    printf("sbindir=%s\n", BIN_FOLDER);
    printf("selinux=yes\n");
    printf("soext=so\n");
    printf("sysconfdir=%s\n", SYSCONF_FOLDER);
    printf("timeout_option=yes\n");
    printf("tls=%s\n", tls_credentials_is_built() ? "yes" : "no");
    printf("version=%s\n", NBDKIT_VERSION_STRING);
    printf("version_major=%d\n", NBDKIT_VERSION_MAJOR);
    printf("version_minor=%d\n", NBDKIT_VERSION_MINOR);
    printf("vsock_option=yes\n");
    printf("zstd=%s\n", HAS_ZSTD ? "yes" : "no");
}

/* Callbacks that API version 2 gave another form; nbdkit prints the old
 * ones by their old names, after all others. */
static bool has_old_form(size_t offset)
{
    return plugin_get_api_version() == 1 && (offset == offsetof(struct nbdkit_plugin, pread) ||
                                             offset == offsetof(struct nbdkit_plugin, pwrite) ||
                                             offset == offsetof(struct nbdkit_plugin, flush) ||
                                             offset == offsetof(struct nbdkit_plugin, trim) ||
                                             offset == offsetof(struct nbdkit_plugin, zero));
}

static void dump_callbacks(const struct nbdkit_plugin *table, bool is_old_form)
{
    const char *format = is_old_form ? "has__%s_v1=1\n" : "has_%s=1\n";

    for (size_t i = 0; i < sizeof callbacks / sizeof callbacks[0]; i++)
        if (*(void *const *)((const char *)table + callbacks[i].offset) &&
            has_old_form(callbacks[i].offset) == is_old_form)
            printf(format, callbacks[i].name);
}

void dump_plugin(void)
{
    const struct nbdkit_plugin *table = plugin_get_table();

    printf("path=%s\n", plugin_get_path());
    printf("name=%s\n", table->name);
    if (table->version)
        printf("version=%s\n", table->version);
    printf("api_version=%d\n", plugin_get_api_version());
    printf("struct_size=%lu\n", plugin_get_struct_size());
    printf("max_thread_model=%s\n", plugin_get_thread_model_name(table->_thread_model));
    printf("thread_model=%s\n", plugin_get_thread_model_name(plugin_get_thread_model()));
    printf("errno_is_preserved=%d\n", table->errno_is_preserved != 0);
    if (table->magic_config_key)
        printf("magic_config_key=%s\n", table->magic_config_key);
    dump_callbacks(table, false);
    dump_callbacks(table, true);
    fflush(stdout);
    if (table->dump_plugin)
        table->dump_plugin();
    fflush(stdout);
}

void dump_plugin_help(FILE *out)
{
    const struct nbdkit_plugin *table = plugin_get_table();

    fprintf(out, "\nplugin: %s", table->name);
    if (table->longname)
        fprintf(out, " (%s)", table->longname);
    fprintf(out, "\n(%s)\n", plugin_get_path());
    if (table->description)
        fprintf(out, "%s\n", table->description);
    if (table->config_help)
        fprintf(out, "%s\n", table->config_help);
}
