// SPDX-License-Identifier: BSD-3-Clause
/*
 * Locks memory. Owns nothing. Entered by the main thread; calls log.
 */
#include "memlock.h"

#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

#define ADVICE "start the server as root, or raise the limit: ulimit -l unlimited"

/* Raises the limit as far as it goes. Returns whether there is none any more. */
static bool lift_limit(void)
{
    struct rlimit limit = { .rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY };

    if (setrlimit(RLIMIT_MEMLOCK, &limit) == 0)
        return true;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
        return false;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_max == RLIM_INFINITY;
}

/* The limit does not hold for who may lock memory. */
static bool has_capability(void)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

    return syscall(SYS_capget, &header, data) == 0 &&
           (data[0].effective & (1U << CAP_IPC_LOCK)) != 0;
}

/*
 * What comes later is locked once it is used, for a stack is mostly empty space.
 * Under a limit, memory of later could not be had at all.
 */
static int lock(bool keeps_capabilities)
{
    bool is_unlimited = lift_limit();

    if (mlockall(MCL_CURRENT) < 0)
        return -1;
    if (is_unlimited || (keeps_capabilities && has_capability()))
        return mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
    log_warning("--swap: only what the server has in memory now is locked, for there is a limit to "
                "that; " ADVICE);
    return 0;
}

int memlock_all(bool keeps_capabilities)
{
    if (lock(keeps_capabilities) < 0) {
        log_error("--swap: cannot lock the server in memory: %m; " ADVICE);
        return -1;
    }
    /* The kernel is not to free memory by swapping to us while we serve that. */
    if (prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) < 0)
        log_debug("--swap: prctl(PR_SET_IO_FLUSHER): %m");
    return 0;
}
