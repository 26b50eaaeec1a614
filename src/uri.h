/* SPDX-License-Identifier: BSD-3-Clause */
/* The NBD URI of what is served: $uri of --run, and --print-uri. */
#ifndef URI_H
#define URI_H

#include <stdio.h>

struct listen_place;
struct listen_sockets;
struct options;

/*
 * The URI of the export that -e names. With --tls=require it says what a
 * client needs for TLS. Returns NULL if there is no memory; free(3) it. Main
 * thread.
 */
char *uri_make(const struct listen_place *place, const struct options *options);

/* Writes `text` as one word of the shell, whatever it contains. */
void uri_write_quoted(FILE *out, const char *text);

/*
 * Prints the URI, and how to use it, to stdout; the URI alone is the first
 * line. The sockets of a superserver may be several places, one after the other. Returns 0, or -1
 * after logging. Main thread.
 */
int uri_print(const struct listen_sockets *sockets, const struct options *options);

#endif
