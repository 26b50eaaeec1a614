/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The limit that servers are measured against: an NBD server with next to
 * nothing in it. A thread for each connection reads what is there with one call,
 * answers all of it out of an array in memory, and writes once.
 *
 * It trusts its client, our nbdload, in every respect; it is no server to use.
 */

#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "client.h"
#include "fail.h"
#include "parse.h"
#include "wire.h"

enum { IN_BYTES = 256 << 10, OUT_BYTES = 4 << 20, OUT_FULL_BYTES = 3 << 20 };

static unsigned char *disk;
static uint64_t disk_bytes;

struct loop {
    int fd;
    unsigned char *in;
    size_t in_bytes;
    unsigned char *out;
    size_t out_bytes;
    /* What is still to come of a write, and where it goes. */
    unsigned char *write_at;
    size_t write_bytes;
};

static void answer_go(int fd)
{
    struct wire_option_reply reply = {
        .magic = htobe64(WIRE_OPTION_REPLY_MAGIC),
        .option = htobe32(NBD_OPT_GO),
        .type = htobe32(NBD_REP_INFO),
        .length = htobe32(12),
    };
    struct {
        uint16_t type;
        uint64_t size_bytes;
        uint16_t flags;
    } __attribute__((__packed__)) info = {
        .type = htobe16(NBD_INFO_EXPORT),
        .size_bytes = htobe64(disk_bytes),
        .flags = htobe16(NBD_FLAG_HAS_FLAGS | NBD_FLAG_CAN_MULTI_CONN),
    };

    client_send(fd, &reply, sizeof reply);
    client_send(fd, &info, sizeof info);
    reply.type = htobe32(NBD_REP_ACK);
    reply.length = 0;
    client_send(fd, &reply, sizeof reply);
}

static void shake_hands(int fd)
{
    struct wire_greeting greeting = {
        .init_passwd = htobe64(WIRE_INIT_PASSWD),
        .option_magic = htobe64(WIRE_OPTION_MAGIC),
        .handshake_flags = htobe16(NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES),
    };
    struct wire_option option;
    uint32_t flags;
    char data[8192];

    client_send(fd, &greeting, sizeof greeting);
    client_receive(fd, &flags, sizeof flags);
    client_receive(fd, &option, sizeof option);
    if (be32toh(option.option) != NBD_OPT_GO || be32toh(option.length) > sizeof data)
        fail("a client asks for more than NBD_OPT_GO: this is no server to use");
    client_receive(fd, data, be32toh(option.length));
    answer_go(fd);
}

/* A client may leave without reading its replies; receiving will tell. */
static void flush_out(struct loop *loop)
{
    size_t sent = 0;

    while (sent < loop->out_bytes) {
        ssize_t count = send(loop->fd, loop->out + sent, loop->out_bytes - sent, MSG_NOSIGNAL);

        if (count < 0)
            break;
        sent += (size_t)count;
    }
    loop->out_bytes = 0;
}

/* What is there of a write goes to the disk. */
static size_t take_write(struct loop *loop, const unsigned char *data, size_t bytes)
{
    size_t count = bytes < loop->write_bytes ? bytes : loop->write_bytes;

    memcpy(loop->write_at, data, count);
    loop->write_at += count;
    loop->write_bytes -= count;
    return count;
}

static size_t take_request(struct loop *loop, const unsigned char *data, size_t bytes)
{
    struct wire_request request;
    struct wire_simple_reply reply = { .magic = htobe32(WIRE_SIMPLE_REPLY_MAGIC) };
    unsigned char *place;
    size_t length;

    if (bytes < WIRE_COMPACT_REQUEST_BYTES)
        return 0;
    memcpy(&request, data, WIRE_COMPACT_REQUEST_BYTES);
    length = be32toh(request.length.compact);
    place = disk + be64toh(request.offset);
    reply.cookie = request.cookie;
    if (be16toh(request.type) == NBD_CMD_DISC)
        return WIRE_COMPACT_REQUEST_BYTES;
    if (loop->out_bytes > OUT_FULL_BYTES)
        flush_out(loop);
    memcpy(loop->out + loop->out_bytes, &reply, sizeof reply);
    loop->out_bytes += sizeof reply;
    if (be16toh(request.type) == NBD_CMD_WRITE) {
        loop->write_at = place;
        loop->write_bytes = length;
    } else {
        /* A plugin copies too. */
        memcpy(loop->out + loop->out_bytes, place, length);
        loop->out_bytes += length;
    }
    return WIRE_COMPACT_REQUEST_BYTES;
}

/* Answers all that is there, but does not say that a write is done before it is. */
static void answer_all(struct loop *loop)
{
    unsigned char *next = loop->in;
    size_t count;

    do {
        count = loop->write_bytes > 0 ? take_write(loop, next, loop->in_bytes)
                                      : take_request(loop, next, loop->in_bytes);
        next += count;
        loop->in_bytes -= count;
    } while (count > 0 && loop->in_bytes > 0);
    memmove(loop->in, next, loop->in_bytes);
    if (loop->write_bytes == 0 && loop->out_bytes > 0)
        flush_out(loop);
}

/* The rest of a long write goes to the disk without a detour. */
static ssize_t receive_some(struct loop *loop)
{
    ssize_t count;

    if (loop->write_bytes > IN_BYTES / 2) {
        count = recv(loop->fd, loop->write_at, loop->write_bytes, MSG_WAITALL);
        if (count > 0) {
            loop->write_at += count;
            loop->write_bytes -= (size_t)count;
        }
        return count;
    }
    count = recv(loop->fd, loop->in + loop->in_bytes, IN_BYTES - loop->in_bytes, 0);
    if (count > 0)
        loop->in_bytes += (size_t)count;
    return count;
}

static void *serve(void *context)
{
    struct loop loop = {
        .fd = (int)(intptr_t)context,
        .in = fail_calloc(1, IN_BYTES),
        .out = fail_calloc(1, OUT_BYTES),
    };

    shake_hands(loop.fd);
    while (receive_some(&loop) > 0)
        answer_all(&loop);
    close(loop.fd);
    free(loop.in);
    free(loop.out);
    return NULL;
}

static int listen_unix(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (strlen(path) >= sizeof address.sun_path)
        fail("%s: too long for a socket's name", path);
    strcpy(address.sun_path, path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 64) < 0)
        fail_errno("cannot listen on %s", path);
    return fd;
}

int main(int argc, char **argv)
{
    const char *wrong;
    int64_t bytes;
    int listen_fd;

    if (argc != 3)
        fail("usage: bareloop SOCKET SIZE; it says 'ready' when it listens");
    wrong = parse_size(argv[2], &bytes);
    if (wrong != NULL)
        fail("%s: %s", argv[2], wrong);
    disk_bytes = (uint64_t)bytes;
    disk = fail_calloc(1, disk_bytes);
    memset(disk, 1, disk_bytes); /* so that pages are there when they are measured */
    listen_fd = listen_unix(argv[1]);
    puts("ready");
    fflush(stdout);
    for (;;) {
        int fd = accept(listen_fd, NULL, NULL);
        pthread_t thread;

        if (fd < 0)
            fail_errno("cannot accept a client");
        if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd) != 0)
            fail("cannot start a thread");
        pthread_detach(thread);
    }
}
