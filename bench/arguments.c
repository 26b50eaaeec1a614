/* SPDX-License-Identifier: BSD-3-Clause */

/* From argv to a struct arguments: the main thread, at the start. */

#include "arguments.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fail.h"
#include "parse.h"

#define NS_PER_S UINT64_C(1000000000)

static const char help[] =
    "nbdload: sends reads and writes to an NBD server and says how fast it answers.\n"
    "\n"
    "  nbdload -U SOCKET | -p PORT [OPTION...]\n"
    "\n"
    "where to:\n"
    "  -U, --unix SOCKET        the server's Unix socket\n"
    "  -p, --port PORT          a TCP port of this machine, 127.0.0.1\n"
    "  -e, --export NAME        the export; without it the default one, \"\"\n"
    "  -c, --connections N      connections at a time, a thread each (1)\n"
    "\n"
    "what:\n"
    "  -b, --block-size SIZE    bytes of a request, a multiple of 512 (4k)\n"
    "  -q, --depth N            requests in flight on each connection (1)\n"
    "  -w, --writes PERCENT     how many of the requests are writes (0)\n"
    "  -r, --random             at random offsets; otherwise one block after the other\n"
    "      --range SIZE         use no more than the first SIZE bytes of the disk\n"
    "      --structured         ask for structured replies\n"
    "\n"
    "how long:\n"
    "  -t, --time TIME          measure for so long, as 2, 0.5 or 500ms (1 s); 0 is not at all\n"
    "      --warm-up TIME       go on for so long before (100ms)\n"
    "\n"
    "what else:\n"
    "      --fill               before that, write every block once\n"
    "      --verify             check the data: fill, check each read, and in the end read all\n"
    "      --idle               send no request: connect, say so, wait for the end of stdin\n"
    "      --help               this text\n"
    "\n"
    "Sizes may end in k, m, g and so on. One line comes out: how many requests were answered in\n"
    "the measured time, which goes on to the next reply, how many and how many bytes a second\n"
    "that is, and the time from sending a request to its reply in microseconds: the mean,\n"
    "percentiles and the longest. A server that answers with an error, or wrongly, ends it with\n"
    "a message and status 1.\n";

enum {
    OPTION_RANGE = 256,
    OPTION_STRUCTURED,
    OPTION_WARM_UP,
    OPTION_FILL,
    OPTION_VERIFY,
    OPTION_IDLE,
    OPTION_HELP
};

static const struct option long_options[] = {
    { "unix", required_argument, NULL, 'U' },
    { "port", required_argument, NULL, 'p' },
    { "export", required_argument, NULL, 'e' },
    { "connections", required_argument, NULL, 'c' },
    { "block-size", required_argument, NULL, 'b' },
    { "depth", required_argument, NULL, 'q' },
    { "writes", required_argument, NULL, 'w' },
    { "random", no_argument, NULL, 'r' },
    { "range", required_argument, NULL, OPTION_RANGE },
    { "structured", no_argument, NULL, OPTION_STRUCTURED },
    { "time", required_argument, NULL, 't' },
    { "warm-up", required_argument, NULL, OPTION_WARM_UP },
    { "fill", no_argument, NULL, OPTION_FILL },
    { "verify", no_argument, NULL, OPTION_VERIFY },
    { "idle", no_argument, NULL, OPTION_IDLE },
    { "help", no_argument, NULL, OPTION_HELP },
    { NULL, 0, NULL, 0 },
};

static unsigned read_number(const char *name, unsigned minimum, unsigned maximum)
{
    int64_t value;
    const char *wrong = parse_signed(optarg, minimum, maximum, &value);

    if (wrong != NULL)
        fail("--%s=%s: %s; a number from %u to %u is needed", name, optarg, wrong, minimum,
             maximum);
    return (unsigned)value;
}

static uint64_t read_size(const char *name)
{
    int64_t bytes;
    const char *wrong = parse_size(optarg, &bytes);

    if (wrong != NULL)
        fail("--%s=%s: %s", name, optarg, wrong);
    if (bytes == 0 || bytes % 512 != 0)
        fail("--%s=%s: a multiple of 512 bytes is needed", name, optarg);
    return (uint64_t)bytes;
}

static uint32_t read_block_size(void)
{
    uint64_t bytes = read_size("block-size");

    if (bytes > 32 << 20)
        fail("--block-size=%s: more than 32M, and servers refuse that", optarg);
    return (uint32_t)bytes;
}

static uint64_t read_time(const char *name)
{
    unsigned sec, nsec;
    const char *wrong = parse_delay(optarg, &sec, &nsec);

    if (wrong != NULL)
        fail("--%s=%s: %s", name, optarg, wrong);
    return sec * NS_PER_S + nsec;
}

static void show_help(void)
{
    fputs(help, stdout);
    exit(fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

static void set_option(struct arguments *arguments, int option)
{
    switch (option) {
    case 'U':
        arguments->socket_path = optarg;
        break;
    case 'p':
        arguments->port = (uint16_t)read_number("port", 1, UINT16_MAX);
        break;
    case 'e':
        arguments->export_name = optarg;
        break;
    case 'c':
        arguments->connections = read_number("connections", 1, ARGUMENTS_CONNECTIONS_MAX);
        break;
    case 'b':
        arguments->block_bytes = read_block_size();
        break;
    case 'q':
        arguments->depth = read_number("depth", 1, ARGUMENTS_DEPTH_MAX);
        break;
    case 'w':
        arguments->write_percent = read_number("writes", 0, 100);
        break;
    case 'r':
        arguments->is_random = true;
        break;
    case OPTION_RANGE:
        arguments->range_bytes = read_size("range");
        break;
    case OPTION_STRUCTURED:
        arguments->wants_structured = true;
        break;
    case 't':
        arguments->seconds_ns = read_time("time");
        break;
    case OPTION_WARM_UP:
        arguments->warm_up_ns = read_time("warm-up");
        break;
    case OPTION_FILL:
        arguments->must_fill = true;
        break;
    case OPTION_VERIFY:
        arguments->must_verify = arguments->must_fill = true;
        break;
    case OPTION_IDLE:
        arguments->is_idle = true;
        break;
    case OPTION_HELP:
        show_help();
        break;
    default:
        fail("see nbdload --help");
    }
}

struct arguments arguments_parse(int argc, char **argv)
{
    struct arguments arguments = {
        .export_name = "",
        .block_bytes = 4096,
        .depth = 1,
        .connections = 1,
        .seconds_ns = NS_PER_S,
        .warm_up_ns = NS_PER_S / 10,
    };
    int option;

    while ((option = getopt_long(argc, argv, "U:p:e:c:b:q:w:rt:", long_options, NULL)) != -1)
        set_option(&arguments, option);
    if (optind < argc)
        fail("'%s' is left over; see nbdload --help", argv[optind]);
    if ((arguments.socket_path == NULL) == (arguments.port == 0))
        fail("say where the server is: either --unix SOCKET or --port PORT");
    if (strlen(arguments.export_name) > 4096)
        fail("--export: no name has more than 4096 bytes");
    return arguments;
}
