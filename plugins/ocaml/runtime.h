/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The OCaml runtime in a server that is not OCaml's: starting it, its lock,
 * the server's threads in it, and fork(2).
 */
#ifndef RUNTIME_H
#define RUNTIME_H

#include <stdbool.h>

#include <caml/mlvalues.h>

/*
 * Starts OCaml, which runs the top level of the plugin's modules; once, from
 * the main thread, which holds the runtime from then on. Returns what
 * caml_startup_exn() does: an exception's result if the top level ended with one.
 */
value runtime_start(void);

/* Whether OCaml's threads library is linked: without it callbacks can only run in turn. */
bool runtime_has_threads(void);

/*
 * Around each use of OCaml by a thread of the server's. Enter waits for the
 * runtime; between the two the thread holds it. They do not nest.
 */
void runtime_enter(void);
void runtime_leave(void);

#endif
