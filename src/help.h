/* SPDX-License-Identifier: BSD-3-Clause */
/* What --help prints of the program; dump.h has what it prints of a plugin. */
#ifndef HELP_H
#define HELP_H

/* The usage text, to stdout, with a line for each option in options.c. Main thread. */
void help_print(void);

#endif
