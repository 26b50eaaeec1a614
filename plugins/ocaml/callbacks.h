/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The callbacks that the server calls, one for each of OCaml's.
 */
#ifndef CALLBACKS_H
#define CALLBACKS_H

struct nbdkit_plugin;

/* Enters into the table those that the plugin has; with the runtime held. */
void callbacks_fill(struct nbdkit_plugin *table);

#endif
