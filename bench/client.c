/* SPDX-License-Identifier: BSD-3-Clause */

/* Connecting and the handshake. The data path is in traffic.c. */

#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fail.h"
#include "wire.h"

enum { REPLY_BYTES_MAX = 65536 };

static int connect_unix(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd;

    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(address.sun_path, path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int connect_port(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htobe16(port),
        .sin_addr.s_addr = htobe32(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;

    if (fd >= 0 && (connect(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
                    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0)) {
        close(fd);
        return -1;
    }
    return fd;
}

int client_connect(const struct client_place *place)
{
    return place->socket_path != NULL ? connect_unix(place->socket_path)
                                      : connect_port(place->port);
}

void client_send(int fd, const void *data, size_t bytes)
{
    const char *next = data;

    while (bytes > 0) {
        ssize_t count = send(fd, next, bytes, MSG_NOSIGNAL);

        if (count < 0)
            fail_errno("cannot send to the server");
        next += count;
        bytes -= (size_t)count;
    }
}

void client_receive(int fd, void *data, size_t bytes)
{
    char *next = data;

    while (bytes > 0) {
        ssize_t count = recv(fd, next, bytes, 0);

        if (count < 0)
            fail_errno("cannot receive from the server");
        if (count == 0)
            fail("the server closed the connection");
        next += count;
        bytes -= (size_t)count;
    }
}

static void send_option(int fd, uint32_t number, const void *data, uint32_t bytes)
{
    struct wire_option option = {
        .magic = htobe64(WIRE_OPTION_MAGIC),
        .option = htobe32(number),
        .length = htobe32(bytes),
    };

    client_send(fd, &option, sizeof option);
    client_send(fd, data, bytes);
}

/* Returns the reply's type; its data is in `data` and has `*bytes`. */
static uint32_t receive_option_reply(int fd, uint32_t number, unsigned char *data, uint32_t *bytes)
{
    struct wire_option_reply reply;

    client_receive(fd, &reply, sizeof reply);
    if (be64toh(reply.magic) != WIRE_OPTION_REPLY_MAGIC || be32toh(reply.option) != number)
        fail("the server answered option %u with something else", number);
    *bytes = be32toh(reply.length);
    if (*bytes > REPLY_BYTES_MAX)
        fail("the server answered option %u with %u bytes", number, *bytes);
    client_receive(fd, data, *bytes);
    return be32toh(reply.type);
}

static void greet(int fd)
{
    struct wire_greeting greeting;
    uint32_t flags = htobe32(NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);

    client_receive(fd, &greeting, sizeof greeting);
    if (be64toh(greeting.init_passwd) != WIRE_INIT_PASSWD ||
        be64toh(greeting.option_magic) != WIRE_OPTION_MAGIC ||
        !(be16toh(greeting.handshake_flags) & NBD_FLAG_FIXED_NEWSTYLE))
        fail("the server does not greet as one of NBD with the fixed newstyle handshake does");
    client_send(fd, &flags, sizeof flags);
}

static void ask_for_structured(int fd)
{
    unsigned char data[REPLY_BYTES_MAX];
    uint32_t bytes;

    send_option(fd, NBD_OPT_STRUCTURED_REPLY, NULL, 0);
    if (receive_option_reply(fd, NBD_OPT_STRUCTURED_REPLY, data, &bytes) != NBD_REP_ACK)
        fail("the server refuses structured replies");
}

static void go(struct client *client, const char *export_name)
{
    unsigned char data[REPLY_BYTES_MAX];
    uint32_t name_bytes = (uint32_t)strlen(export_name), bytes, type;
    uint32_t length = htobe32(name_bytes);
    bool has_export = false;

    memcpy(data, &length, sizeof length);
    memcpy(data + sizeof length, export_name, name_bytes);
    memset(data + sizeof length + name_bytes, 0, sizeof(uint16_t)); /* asks for no information */
    send_option(client->fd, NBD_OPT_GO, data,
                (uint32_t)sizeof length + name_bytes + (uint32_t)sizeof(uint16_t));
    while ((type = receive_option_reply(client->fd, NBD_OPT_GO, data, &bytes)) == NBD_REP_INFO) {
        if (bytes == 12 && data[0] == 0 && data[1] == NBD_INFO_EXPORT) {
            memcpy(&client->size_bytes, data + 2, sizeof client->size_bytes);
            memcpy(&client->flags, data + 10, sizeof client->flags);
            has_export = true;
        }
    }
    if (type != NBD_REP_ACK)
        fail("the server refuses the export '%s': %.*s", export_name, (int)bytes, (char *)data);
    if (!has_export)
        fail("the server did not say how large the export '%s' is", export_name);
    client->size_bytes = be64toh(client->size_bytes);
    client->flags = be16toh(client->flags);
}

struct client client_negotiate(int fd, const char *export_name, bool wants_structured)
{
    struct client client = { .fd = fd, .is_structured = wants_structured };

    greet(fd);
    if (wants_structured)
        ask_for_structured(fd);
    go(&client, export_name);
    return client;
}

void client_close(const struct client *client)
{
    struct wire_request request = {
        .magic = htobe32(WIRE_REQUEST_MAGIC),
        .type = htobe16(NBD_CMD_DISC),
    };

    /* The server may have gone; nobody waits for an answer anyway. */
    send(client->fd, &request, WIRE_COMPACT_REQUEST_BYTES, MSG_NOSIGNAL);
    close(client->fd);
}
