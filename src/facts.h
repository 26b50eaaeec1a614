/* SPDX-License-Identifier: BSD-3-Clause */
/* The actions that print and serve nothing: --help, --version, --dump-plugin and so on. */
#ifndef FACTS_H
#define FACTS_H

struct options;

/* Does what `options->action` says, which is not ACTION_SERVE. Returns an exit status. Main thread.
 */
int facts_print(const struct options *options);

#endif
