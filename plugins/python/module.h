/* SPDX-License-Identifier: BSD-3-Clause */
/* The module nbdkit, which scripts import: the server's functions and constants. */
#ifndef MODULE_H
#define MODULE_H

/* Lets scripts import it. Main thread, before the interpreter starts. Returns 0 or -1. */
int module_offer(void);

#endif
