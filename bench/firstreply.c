/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * How long a server takes from its start to its first reply: starts the command,
 * connects as soon as that works, reads 512 bytes, and ends the server again. One thread.
 */

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "fail.h"
#include "latency.h"
#include "wire.h"

#define BOUND_NS UINT64_C(20000000000)

enum { RETRY_NS = 50000, READ_BYTES = 512 };

static pid_t server_pid;

static void end_server(void)
{
    int status;

    kill(server_pid, SIGTERM);
    waitpid(server_pid, &status, 0);
}

static int connect_when_up(const struct client_place *place, uint64_t start_ns)
{
    const struct timespec retry = { .tv_nsec = RETRY_NS };
    int fd, status;

    while ((fd = client_connect(place)) < 0) {
        if (errno != ENOENT && errno != ECONNREFUSED)
            fail_errno("cannot connect to %s", place->socket_path);
        if (waitpid(server_pid, &status, WNOHANG) != 0)
            fail("the server ended before it served");
        if (latency_now_ns() - start_ns > BOUND_NS) {
            end_server();
            fail("the server did not serve within 20 seconds");
        }
        nanosleep(&retry, NULL);
    }
    return fd;
}

static void read_start(int fd)
{
    struct wire_request request = {
        .magic = htobe32(WIRE_REQUEST_MAGIC),
        .type = htobe16(NBD_CMD_READ),
        .length.compact = htobe32(READ_BYTES),
    };
    struct wire_simple_reply reply;
    char data[READ_BYTES];

    client_send(fd, &request, WIRE_COMPACT_REQUEST_BYTES);
    client_receive(fd, &reply, sizeof reply);
    if (be32toh(reply.magic) != WIRE_SIMPLE_REPLY_MAGIC || reply.error != 0)
        fail("the server did not answer the read well");
    client_receive(fd, data, sizeof data);
}

int main(int argc, char **argv)
{
    struct client_place place = { 0 };
    struct client client;
    uint64_t start_ns, end_ns;
    int wrong;

    if (argc < 3)
        fail("usage: firstreply SOCKET COMMAND [ARGUMENT...], which listens on SOCKET");
    place.socket_path = argv[1];
    start_ns = latency_now_ns();
    wrong = posix_spawnp(&server_pid, argv[2], NULL, NULL, argv + 2, environ);
    if (wrong != 0)
        fail("cannot start %s: %s", argv[2], strerror(wrong));
    client = client_negotiate(connect_when_up(&place, start_ns), "", false);
    read_start(client.fd);
    end_ns = latency_now_ns();
    client_close(&client);
    end_server();
    printf("first_reply_us=%" PRIu64 "\n", (end_ns - start_ns) / 1000);
    return EXIT_SUCCESS;
}
