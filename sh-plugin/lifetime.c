/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns the temporary directory and the environment of scripts. Entered by the
 * thread that loads and unloads the plugin; after that the content is only
 * read. Calls folder, leftovers, warden, groups, limits and nbdkit_error.
 */
#include <errno.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "cleanup.h"
#include "folder.h"
#include "groups.h"
#include "leftovers.h"
#include "lifetime.h"
#include "limits.h"
#include "orphans.h"
#include "warden.h"

#define MEMORY_FOLDER "/dev/shm"

static char *tmpdir;   /* NULL before lifetime_begin and after lifetime_end */
static char *variable; /* "tmpdir=..." */
static char *private;  /* a hidden folder for FIFOs */
static struct folder folder = { .fd = -1 };
static struct folder private_folder = { .fd = -1 }; /* once it is made */
static char **environment;
static uid_t maker; /* of tmpdir */

/* Many a FIFO comes and goes there: on a disk, each would cost ten times as much. */
static bool has_memory_folder(void)
{
    struct statfs status;

    return statfs(MEMORY_FOLDER, &status) == 0 && status.f_type == TMPFS_MAGIC &&
           access(MEMORY_FOLDER, W_OK | X_OK) == 0;
}

static int name_private(void)
{
    const char *name = strrchr(tmpdir, '/') + 1;
    int result = has_memory_folder()
                     ? asprintf(&private, MEMORY_FOLDER "/.%s", name)
                     : asprintf(&private, "%.*s.%s", (int)(name - tmpdir), tmpdir, name);

    if (result >= 0)
        return 0;
    private = NULL;
    nbdkit_error("no memory");
    return -1;
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
    int error = folder_take(&folder, tmpdir);
    if (error != 0) {
        nbdkit_error("%s: %s", tmpdir, strerror(error));
        return -1;
    }
    maker = geteuid();
    return name_private();
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
    if (make_tmpdir() < 0 || make_environment() < 0)
        return -1;
    warden_start(variable, folder.fd, private);
    return 0;
}

int lifetime_make_private(void)
{
    if (private_folder.fd >= 0)
        return 0;
    /* Only what was made here may be removed in the end. */
    if (mkdir(private, S_IRWXU) < 0) {
        nbdkit_error("cannot make the folder %s: %s", private, strerror(errno));
        return -1;
    }
    int error = folder_take(&private_folder, private);
    if (error != 0) {
        nbdkit_error("%s: %s", private, strerror(error));
        return -1;
    }
    warden_add_private();
    return 0;
}

int lifetime_settle(void)
{
    if (geteuid() == maker)
        return 0;
    if (warden_hand_over(tmpdir) < 0)
        return -1;
    if (access(tmpdir, R_OK | W_OK | X_OK) == 0)
        return 0;
    nbdkit_error("the user of -u cannot use the temporary directory %s: %s: set TMPDIR to a "
                 "folder that this user can reach",
                 tmpdir, strerror(errno));
    return -1;
}

void lifetime_end(void)
{
    if (tmpdir == NULL)
        return;
    leftovers_end(variable, limits_is_grace_over());
    groups_release();
    orphans_end();
    folder_remove(&folder);
    folder_remove(&private_folder);
    if (access(tmpdir, F_OK) == 0)
        nbdkit_error("cannot remove the temporary directory %s", tmpdir);
    warden_dismiss();
    tmpdir = NULL;
    free(environment);
    environment = NULL;
    free(variable);
    variable = NULL;
    free(private);
    private = NULL;
}

const char *lifetime_get_tmpdir(void)
{
    return tmpdir;
}

const char *lifetime_get_private(void)
{
    return private;
}

char *const *lifetime_get_environment(void)
{
    return environment;
}
