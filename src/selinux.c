// SPDX-License-Identifier: BSD-3-Clause
/*
 * Sets the label of sockets in /proc (proc_pid_attr(5)). Owns nothing. Entered
 * by the main thread; calls log.
 */
#include "selinux.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "log.h"

/* There on every machine where SELinux is in use, and nowhere else. */
#define SELINUX_MARK "/sys/fs/selinux/enforce"

static const char *explain(int error)
{
    if (access(SELINUX_MARK, F_OK) < 0)
        return ": SELinux is not in use on this machine; leave the option out";
    if (error == EINVAL)
        return ": the policy in use has no such label";
    return error == EACCES ? ": the policy in use does not allow that" : "";
}

int selinux_label_sockets(const char *label)
{
    CLEANUP_CLOSE int fd = open("/proc/thread-self/attr/sockcreate", O_WRONLY | O_CLOEXEC);
    size_t length = label ? strlen(label) : 0;

    if (fd >= 0 && write(fd, label, length) == (ssize_t)length)
        return 0;
    int error = errno;
    log_error("--selinux-label: cannot label sockets %s: %s%s", label ? label : "as before",
              strerrordesc_np(error), explain(error));
    return -1;
}
