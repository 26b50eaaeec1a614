/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Calls the functions of the server for plugins while it is configured, and prints what they give:
 * a parameter FUNCTION=ARGUMENT prints "FUNCTION: RESULT", or "FUNCTION: error". The parameter
 * exit=METHOD:STATUS calls exit(3) in load, config, config_complete, thread_model or get_ready;
 * without it the program ends in config_complete.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

static const char *exit_method = "";
static int exit_status;

static void exit_in(const char *method)
{
    if (strcmp(exit_method, method) != 0)
        return;
    fflush(stdout);
    exit(exit_status);
}

static void toolbox_load(void)
{
    const char *told = getenv("TOOLBOX_EXIT_IN_LOAD");

    if (told != NULL)
        exit(atoi(told));
}

/* The parsers of integers: prints the value, or that there was an error and it was left alone. */
#define TRY_INTEGER(function, type, format)                                                        \
    if (strcmp(key, #function) == 0) {                                                             \
        type result = 77;                                                                          \
        if (nbdkit_parse_##function("it", value, &result) == 0)                                    \
            printf(#function ": %" format "\n", result);                                           \
        else                                                                                       \
            printf(#function ": error%s\n", result == 77 ? "" : " and a changed result");          \
        return 1;                                                                                  \
    }

static int try_integers(const char *key, const char *value)
{
    TRY_INTEGER(int, int, "d")
    TRY_INTEGER(unsigned, unsigned, "u")
    TRY_INTEGER(int8_t, int8_t, PRId8)
    TRY_INTEGER(uint8_t, uint8_t, PRIu8)
    TRY_INTEGER(int16_t, int16_t, PRId16)
    TRY_INTEGER(uint16_t, uint16_t, PRIu16)
    TRY_INTEGER(int32_t, int32_t, PRId32)
    TRY_INTEGER(uint32_t, uint32_t, PRIu32)
    TRY_INTEGER(int64_t, int64_t, PRId64)
    TRY_INTEGER(uint64_t, uint64_t, PRIu64)
    TRY_INTEGER(probability, double, "g")
    return 0;
}

static int print_number(const char *key, int64_t result)
{
    if (result == -1)
        printf("%s: error\n", key);
    else
        printf("%s: %" PRId64 "\n", key, result);
    return 1;
}

/* Prints a string that is the caller's to free, or a NULL as an error. */
static int print_string(const char *key, char *result)
{
    printf("%s: %s\n", key, result == NULL ? "error" : result);
    free(result);
    return 1;
}

static int try_password(const char *value)
{
    char *password = NULL;

    if (nbdkit_read_password(value, &password) == -1)
        password = NULL;
    return print_string("password", password);
}

static int try_strings(const char *key, const char *value)
{
    if (strcmp(key, "size") == 0)
        return print_number(key, nbdkit_parse_size(value));
    if (strcmp(key, "bool") == 0)
        return print_number(key, nbdkit_parse_bool(value));
    if (strcmp(key, "stdio_safe") == 0)
        return print_number(key, nbdkit_stdio_safe());
    if (strcmp(key, "absolute_path") == 0)
        return print_string(key, nbdkit_absolute_path(value));
    if (strcmp(key, "realpath") == 0)
        return print_string(key, nbdkit_realpath(value));
    if (strcmp(key, "password") == 0)
        return try_password(value);
    if (strcmp(key, "strdup_intern") == 0)
        return print_string(key, strdup(nbdkit_strdup_intern(value)));
    if (strcmp(key, "strndup_intern") == 0)
        return print_string(key, strdup(nbdkit_strndup_intern(value, 3)));
    if (strcmp(key, "printf_intern") == 0)
        return print_string(key, strdup(nbdkit_printf_intern("<%s>", value)));
    return 0;
}

static int toolbox_config(const char *key, const char *value)
{
    static char method[32];

    if (strcmp(key, "exit") == 0) {
        const char *colon = strchr(value, ':');
        exit_status = atoi(colon + 1);
        snprintf(method, sizeof method, "%.*s", (int)(colon - value), value);
        exit_method = method;
        exit_in("config");
        return 0;
    }
    if (try_integers(key, value) || try_strings(key, value))
        return 0;
    nbdkit_error("unknown parameter %s", key);
    return -1;
}

static int toolbox_config_complete(void)
{
    if (exit_method[0] == '\0')
        exit_method = "config_complete";
    exit_in("config_complete");
    return 0;
}

static int toolbox_thread_model(void)
{
    exit_in("thread_model");
    return THREAD_MODEL;
}

static int toolbox_get_ready(void)
{
    exit_in("get_ready");
    return 0;
}

/* The disk holds the client's security label, or its lack. */
static void *toolbox_open(int readonly)
{
    char *text;

    (void)readonly;
    char *label = nbdkit_peer_security_context();
    int length = label ? asprintf(&text, "%s", label) : asprintf(&text, "errno %d", errno);
    free(label);
    return length < 0 ? NULL : text;
}

static void toolbox_close(void *handle)
{
    free(handle);
}

static int64_t toolbox_get_size(void *handle)
{
    return (int64_t)strlen(handle);
}

static int toolbox_pread(void *handle, void *buffer, uint32_t count, uint64_t offset,
                         uint32_t flags)
{
    (void)flags;
    memcpy(buffer, (const char *)handle + offset, count);
    return 0;
}

static struct nbdkit_plugin plugin = {
    .name = "toolbox",
    .load = toolbox_load,
    .config = toolbox_config,
    .config_complete = toolbox_config_complete,
    .thread_model = toolbox_thread_model,
    .get_ready = toolbox_get_ready,
    .open = toolbox_open,
    .close = toolbox_close,
    .get_size = toolbox_get_size,
    .pread = toolbox_pread,
};

NBDKIT_REGISTER_PLUGIN(plugin)
