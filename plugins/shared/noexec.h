/* SPDX-License-Identifier: BSD-3-Clause */
/* May programs be run from where a file lies? Any thread; a leaf. */
#ifndef NOEXEC_H
#define NOEXEC_H

#include <stdbool.h>
#include <sys/statvfs.h>

/* Is the file on a file system that is mounted with the option noexec? */
static inline bool noexec_holds(const char *path)
{
    struct statvfs status;

    return statvfs(path, &status) == 0 && (status.f_flag & ST_NOEXEC);
}

#endif
