/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns the temporary directory and the environment of scripts. Entered by the
 * thread that loads and unloads the plugin; after that the content is only
 * read. Calls groups, limits and nbdkit_error.
 *
 * The server may fork between get_ready and after_fork, and the parent may leave
 * in any way it likes. So until after_fork the child of a fork becomes the
 * owner; after that the process that serves stays it.
 */
#include <errno.h>
#include <ftw.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "cleanup.h"
#include "groups.h"
#include "lifetime.h"
#include "limits.h"

#define DESCRIPTORS_WHILE_REMOVING 16

static char *tmpdir;   /* NULL before lifetime_begin and after lifetime_end */
static char *variable; /* "tmpdir=..." */
static char **environment;
static pid_t owner; /* the process that clears away; 0 if it is another one */
static bool is_serving;

static void disown_in_parent(void)
{
    if (!is_serving)
        owner = 0;
}

static void own_in_child(void)
{
    if (!is_serving)
        owner = getpid();
}

static int make_tmpdir(void)
{
    const char *configured = getenv("TMPDIR");
    const char *parent = configured == NULL || *configured == '\0' ? "/tmp" : configured;
    CLEANUP_FREE char *absolute = realpath(parent, NULL);

    if (absolute == NULL || asprintf(&variable, "tmpdir=%s/nbdlab-XXXXXX", absolute) < 0)
        variable = NULL;
    if (variable == NULL || mkdtemp(variable + strlen("tmpdir=")) == NULL) {
        nbdkit_error("cannot make a temporary directory in %s: %s: set TMPDIR to a folder "
                     "that can be written",
                     parent, strerror(errno));
        return -1;
    }
    tmpdir = variable + strlen("tmpdir=");
    return 0;
}

static int make_environment(void)
{
    size_t count = 0;
    size_t kept = 0;

    while (environ[count] != NULL)
        count++;
    environment = calloc(count + 2, sizeof(*environment));
    if (environment == NULL) {
        nbdkit_error("no memory");
        return -1;
    }
    for (size_t i = 0; i < count; i++)
        if (strncmp(environ[i], "tmpdir=", strlen("tmpdir=")) != 0)
            environment[kept++] = environ[i];
    environment[kept] = variable;
    return 0;
}

int lifetime_begin(void)
{
    owner = getpid();
    if (make_tmpdir() < 0 || make_environment() < 0)
        return -1;
    pthread_atfork(NULL, disown_in_parent, own_in_child);
    return 0;
}

void lifetime_take_over(void)
{
    owner = getpid();
    is_serving = true;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
    (void)status;
    (void)type;
    (void)ftw;
    remove(path);
    return 0;
}

void lifetime_end(void)
{
    if (tmpdir == NULL)
        return;
    groups_end_all(limits_is_grace_over());
    nftw(tmpdir, remove_entry, DESCRIPTORS_WHILE_REMOVING, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    tmpdir = NULL;
    free(environment);
    environment = NULL;
    free(variable);
    variable = NULL;
}

/* The configuration phase may end by exit(3) at any point, without unload. */
__attribute__((destructor)) static void end_at_exit(void)
{
    if (owner == getpid())
        lifetime_end();
}

const char *lifetime_get_tmpdir(void)
{
    return tmpdir;
}

char *const *lifetime_get_environment(void)
{
    return environment;
}
