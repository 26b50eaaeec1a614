/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Debug flags, -D NAME.FLAG=N: integers that a plugin, or the server under
 * the name nbdkit, reads to decide how much to say. nbdlab-plugin(3), "Debug
 * flags", is their manual.
 */
#ifndef DEBUG_FLAGS_H
#define DEBUG_FLAGS_H

#include <stdbool.h>

#include "log.h"

/* The server's own. Without -D they have the values that nbdlab(1) gives. */
enum debug_flag {
    DEBUG_CONTROLPATH, /* 1: lines about configuration, open, close and the like */
    DEBUG_DATAPATH,    /* 1: a line for each request */
    DEBUG_ENVIRON,     /* 1: the environment at start-up */
    DEBUG_TLS_LOG,     /* GnuTLS's log level */
    DEBUG_TLS_SESSION, /* 1: what was negotiated */
};

/* Is `text` of the form NAME.FLAG=N? Logs what is wrong with it where it is not. */
bool debug_flags_is_valid(const char *text);

/*
 * Sets the server's flags out of `flags`, valid texts up to a NULL that must
 * stay valid, and keeps the others for debug_flags_set_in(). Logs the
 * environment where that was asked for. Main thread, before other threads
 * exist.
 */
void debug_flags_use(const char *const *flags);

/* Sets the flags of the plugin `name`, from dlopen(3). Warns of those that it lacks. */
void debug_flags_set_in(const char *name, void *library);

/* The value of a flag of the server's. Any thread. */
int debug_flags_get(enum debug_flag flag);

/* log_debug(), unless the user has set `flag` to 0. */
#define DEBUG_LOG(flag, ...)                                                                       \
    do {                                                                                           \
        if (debug_flags_get(flag))                                                                 \
            log_debug(__VA_ARGS__);                                                                \
    } while (0)

#endif
