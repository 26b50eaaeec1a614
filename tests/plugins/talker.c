/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Writes the name of each callback to standard output, a line each. lines=N: config_complete reads
 * so many lines of standard input; all later callbacks take what they can get of it.
 */
#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

static int line_count;

static void talk(const char *callback)
{
    char taken[64];

    puts(callback);
    fflush(stdout);
    if (read(STDIN_FILENO, taken, sizeof taken) > 0)
        nbdkit_error("%s has taken something", callback);
}

static void talker_load(void)
{
    puts("load"); /* still in the buffer when the server goes on */
}

static int talker_config(const char *key, const char *value)
{
    (void)key;
    line_count = atoi(value);
    return 0;
}

static int talker_config_complete(void)
{
    char line[64];

    for (int i = 0; i < line_count && fgets(line, sizeof line, stdin); i++)
        printf("read %s", line);
    return 0;
}

static int talker_after_fork(void)
{
    talk("after_fork");
    return 0;
}

static int talker_preconnect(int readonly)
{
    (void)readonly;
    talk("preconnect");
    return 0;
}

static void *talker_open(int readonly)
{
    (void)readonly;
    talk("open");
    return NBDKIT_HANDLE_NOT_NEEDED;
}

static int64_t talker_get_size(void *handle)
{
    (void)handle;
    return 4096;
}

static int talker_pread(void *handle, void *buffer, uint32_t count, uint64_t offset, uint32_t flags)
{
    (void)handle;
    (void)offset;
    (void)flags;
    talk("pread");
    memset(buffer, 'd', count);
    return 0;
}

static void talker_close(void *handle)
{
    (void)handle;
    talk("close");
}

static void talker_unload(void)
{
    talk("unload");
}

static struct nbdkit_plugin plugin = {
    .name = "talker",
    .load = talker_load,
    .config = talker_config,
    .config_complete = talker_config_complete,
    .after_fork = talker_after_fork,
    .preconnect = talker_preconnect,
    .open = talker_open,
    .get_size = talker_get_size,
    .pread = talker_pread,
    .close = talker_close,
    .unload = talker_unload,
};

NBDKIT_REGISTER_PLUGIN(plugin)
