/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What serves debugging: debug flags, printed in load and in config_complete; and, told by the
 * parameter show=WHAT, the functions hexdump, hexdiff, messages, timestamp and name.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

NBDKIT_DLL_PUBLIC int flags_debug_one = 7;
NBDKIT_DLL_PUBLIC int flags_debug_two_parts;

static void print_flags(const char *where)
{
    printf("%s: one=%d two_parts=%d\n", where, flags_debug_one, flags_debug_two_parts);
}

static void flags_load(void)
{
    print_flags("load");
}

static void dump(void)
{
    unsigned char bytes[40];

    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i + 'P');
    nbdkit_debug_hexdump(bytes, sizeof bytes, "data: ", 0);
    nbdkit_debug_hexdump(bytes, 3, NULL, UINT64_C(0x123456789a));
    nbdkit_debug_hexdump(bytes, 16, "", UINT64_MAX - 15);
    nbdkit_debug_hexdump(bytes, 0, "none", 0);
}

static void compare(void)
{
    char ours[40];
    char theirs[40];

    memset(ours, 'a', sizeof ours);
    memset(theirs, 'a', sizeof theirs);
    nbdkit_debug_hexdiff(ours, theirs, sizeof ours, "same: ", 0);
    theirs[17] = '\n';
    theirs[39] = 'b';
    nbdkit_debug_hexdiff(ours, theirs, sizeof ours, "diff: ", 0x100);
}

/* %m in each of the four, as if errno had nothing else to do. */
static void say_lists(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    nbdkit_verror(format, args);
    va_end(args);
    va_start(args, format);
    nbdkit_vdebug(format, args);
    va_end(args);
}

static void say_everything(const char *word, int number, const char *end)
{
    nbdkit_error("error %s %d %s: %m", word, number, end);
    nbdkit_debug("debug %s %d %s: %m", word, number, end);
    say_lists("list %s %d\n%s\033[1m: %m", word, number, end);
    nbdkit_set_error(EPERM);
}

static int flags_config(const char *key, const char *value)
{
    if (strcmp(key, "show") != 0)
        return -1;
    errno = ENOSPC;
    if (strcmp(value, "hexdump") == 0)
        dump();
    else if (strcmp(value, "hexdiff") == 0)
        compare();
    else if (strcmp(value, "messages") == 0)
        say_everything("both", 2, "lines");
    else if (strcmp(value, "timestamp") == 0)
        printf("timestamp <%s>\n", nbdkit_timestamp());
    else if (strcmp(value, "name") == 0)
        printf("name <%s>\n", nbdkit_name());
    printf("errno is %s\n", errno == ENOSPC ? "preserved" : "changed");
    return 0;
}

static int flags_config_complete(void)
{
    print_flags("config_complete");
    return 0;
}

static void *flags_open(int readonly)
{
    (void)readonly;
    return NBDKIT_HANDLE_NOT_NEEDED;
}

static int64_t flags_get_size(void *handle)
{
    (void)handle;
    return 512;
}

static int flags_pread(void *handle, void *buffer, uint32_t count, uint64_t offset, uint32_t flags)
{
    (void)handle;
    (void)offset;
    (void)flags;
    memset(buffer, 0, count);
    return 0;
}

static struct nbdkit_plugin plugin = {
    .name = "flags",
    .load = flags_load,
    .config = flags_config,
    .config_complete = flags_config_complete,
    .open = flags_open,
    .get_size = flags_get_size,
    .pread = flags_pread,
};

NBDKIT_REGISTER_PLUGIN(plugin)
