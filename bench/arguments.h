/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line of nbdload. */
#ifndef ARGUMENTS_H
#define ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ARGUMENTS_DEPTH_MAX = 1024, ARGUMENTS_CONNECTIONS_MAX = 20000 };

struct arguments {
    const char *socket_path; /* NULL: `port` of the loopback */
    uint16_t port;
    const char *export_name;
    uint32_t block_bytes;
    unsigned depth;
    unsigned connections;
    unsigned write_percent;
    uint64_t range_bytes; /* 0: the whole disk */
    uint64_t seconds_ns;
    uint64_t warm_up_ns;
    bool is_random;
    bool must_fill;
    bool must_verify;
    bool wants_structured;
    bool is_idle;
};

/*
 * Reads the command line; ends the process where it is wrong, and after --help.
 * The texts are those of `argv`.
 */
struct arguments arguments_parse(int argc, char **argv);

#endif
