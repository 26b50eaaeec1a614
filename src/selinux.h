/* SPDX-License-Identifier: BSD-3-Clause */
/* The SELinux label of new sockets, without libselinux. */
#ifndef SELINUX_H
#define SELINUX_H

/*
 * The sockets that the calling thread makes from now on have that label; with
 * NULL that of the process again. Returns 0, or -1 after logging.
 */
int selinux_label_sockets(const char *label);

#endif
