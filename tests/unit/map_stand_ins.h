/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stand-ins for files, the script and the server, for test_map.c: they note
 * what is asked of them, and fail on demand. One thread.
 */
#ifndef MAP_STAND_INS_H
#define MAP_STAND_INS_H

#include <stdint.h>

extern char stand_ins_trace[65536];   /* what was asked for, joined by "; " */
extern const char *stand_ins_failing; /* the first entry that begins so fails, once */
extern int stand_ins_failing_errno;   /* with this */
extern int stand_ins_plugin_error;    /* what nbdkit_set_error was called with */
extern int64_t stand_ins_told;        /* bytes of which the script tells extents; -1: all */

#endif
