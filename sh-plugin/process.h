/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether calls start the script anew (spawn) or fork a shell that is there
 * already (worker): sh.process, or what the method process_model prints. Set
 * while the server is configured.
 */
#ifndef PROCESS_H
#define PROCESS_H

#include <stdbool.h>

/*
 * Takes a parameter whose key begins with "sh.", also those of limits.h.
 * Returns 1 if it was taken, 0 if the key is not of this kind, or -1 after
 * nbdkit_error.
 */
int process_set_parameter(const char *key, const char *value);

/* Decides, when all parameters are known. Returns 0, or -1 after nbdkit_error. */
int process_decide(void);

/* True if workers were decided on. */
bool process_has_workers(void);

#endif
