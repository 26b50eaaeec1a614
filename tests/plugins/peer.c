/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A disk whose content is what the plugin learns of its client: family, address and port, process,
 * user and group, export name, TLS.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

/* Writes the address as text: "unix", "ip4 ADDRESS PORT" or "ip6 ADDRESS PORT". */
static void describe_address(char *text, size_t length)
{
    struct sockaddr_storage address;
    socklen_t address_length = sizeof address;
    char host[INET6_ADDRSTRLEN];

    if (nbdkit_peer_name((struct sockaddr *)&address, &address_length) == -1) {
        snprintf(text, length, "error");
    } else if (address.ss_family == AF_INET) {
        const struct sockaddr_in *ip4 = (const struct sockaddr_in *)&address;
        snprintf(text, length, "ip4 %s %u", inet_ntop(AF_INET, &ip4->sin_addr, host, sizeof host),
                 ntohs(ip4->sin_port));
    } else if (address.ss_family == AF_INET6) {
        const struct sockaddr_in6 *ip6 = (const struct sockaddr_in6 *)&address;
        snprintf(text, length, "ip6 %s %u", inet_ntop(AF_INET6, &ip6->sin6_addr, host, sizeof host),
                 ntohs(ip6->sin6_port));
    } else {
        snprintf(text, length, "%s", address.ss_family == AF_UNIX ? "unix" : "unknown");
    }
}

static void *peer_open(int readonly)
{
    char *text, address[128];

    (void)readonly;
    describe_address(address, sizeof address);
    if (asprintf(&text,
                 "%s\npid %" PRId64 "\nuid %" PRId64 "\ngid %" PRId64 "\nexport <%s>\ntls %d\n",
                 address, nbdkit_peer_pid(), nbdkit_peer_uid(), nbdkit_peer_gid(),
                 nbdkit_export_name(), nbdkit_is_tls()) < 0)
        return NULL;
    return text;
}

static void peer_close(void *handle)
{
    free(handle);
}

static int64_t peer_get_size(void *handle)
{
    return (int64_t)strlen(handle);
}

static int peer_pread(void *handle, void *buffer, uint32_t count, uint64_t offset, uint32_t flags)
{
    (void)flags;
    memcpy(buffer, (const char *)handle + offset, count);
    return 0;
}

static struct nbdkit_plugin plugin = {
    .name = "peer",
    .open = peer_open,
    .close = peer_close,
    .get_size = peer_get_size,
    .pread = peer_pread,
};

NBDKIT_REGISTER_PLUGIN(plugin)
