/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What the plugins of plugin-api.bats share: a log file (parameter log=FILE) with a line for each
 * callback, and a disk of 1 MiB in memory. A plugin may call these from any thread.
 */
#ifndef RECORD_H
#define RECORD_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { RECORD_BYTES = 1 << 20 };

static int record_fd = -1;
static char record_disk[RECORD_BYTES] __attribute__((__unused__));

#define RECORD(...) dprintf(record_fd, __VA_ARGS__)

/* Takes the parameter log=FILE. Returns 1 if it was that, 0 if not, -1 if it cannot be opened. */
static int record_set_parameter(const char *key, const char *value)
{
    if (strcmp(key, "log") != 0)
        return 0;
    record_fd = open(value, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    return record_fd < 0 ? -1 : 1;
}

/* Lists the names of the flags that are set, for the log. */
static inline const char *record_name_flags(uint32_t flags)
{
    static const char *const names[] = {
        "",         " may_trim",         " fua",         " may_trim fua",
        " req_one", " may_trim req_one", " fua req_one", " may_trim fua req_one",
        " fast",    " may_trim fast",    " fua fast",    " may_trim fua fast",
    };

    return flags < sizeof names / sizeof names[0] ? names[flags] : " unknown";
}

#endif
