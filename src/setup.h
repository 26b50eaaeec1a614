/* SPDX-License-Identifier: BSD-3-Clause */
/* From the command line to a plugin that knows its parameters, and to credentials for TLS. */
#ifndef SETUP_H
#define SETUP_H

struct options;

/* Finds and loads the plugin. Returns 0, or -1 after logging. Main thread. */
int setup_load(const struct options *options);

/* Passes the parameters on to it. Returns 0, or -1 after logging. Main thread. */
int setup_configure(const struct options *options);

/* Tells the plugin that these were all. Returns 0, or -1 after logging. Main thread. */
int setup_complete(void);

/*
 * Loads the credentials for TLS, and settles options->policy. Returns 0, or -1
 * after logging. setup_forget_tls() frees them, when the last client is gone.
 * Main thread.
 */
int setup_tls(struct options *options);
void setup_forget_tls(struct options *options);

#endif
