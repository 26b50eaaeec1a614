/* SPDX-License-Identifier: BSD-3-Clause */
/* A descriptor that tells of the end of a child, on every kernel. Any thread; no locks. */
#ifndef EXITFD_H
#define EXITFD_H

#include <sys/types.h>

/*
 * Returns a descriptor that poll(2) finds readable once the child, which has
 * not been waited for, has exited; or -1 with errno. The caller closes it. It
 * is good for nothing but poll(2), for it is a pidfd only where the kernel, and
 * what is between it and this process, knows pidfd_open(2).
 */
int exitfd_open(pid_t child);

#endif
