// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns the address of the service manager. Entered by the main thread; calls
 * log.
 */
#include "notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cleanup.h"
#include "log.h"

static struct sockaddr_un address = { .sun_family = AF_UNIX };
static socklen_t address_length; /* 0: nobody wants to know */

void notify_init(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    size_t length = path ? strlen(path) : 0;

    if (length == 0)
        return;
    if ((*path == '/' || *path == '@') && length < sizeof address.sun_path) {
        memcpy(address.sun_path, path, length);
        if (*path == '@')
            address.sun_path[0] = '\0';
        address_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    } else {
        log_warning("NOTIFY_SOCKET=%s is neither the path of a socket nor an abstract name after "
                    "@; nobody is told when the server is ready",
                    path);
    }
    unsetenv("NOTIFY_SOCKET");
}

static void tell(const char *text)
{
    if (address_length == 0)
        return;
    CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&address,
                         address_length) < 0)
        log_warning("cannot tell the service manager (NOTIFY_SOCKET) that the server is %s: %m",
                    strncmp(text, "READY", 5) == 0 ? "ready" : "stopping");
}

void notify_ready(void)
{
    char text[64];

    snprintf(text, sizeof text, "READY=1\nMAINPID=%ld\nSTATUS=Serving\n", (long)getpid());
    tell(text);
}

void notify_stopping(void)
{
    tell("STOPPING=1\nSTATUS=Stopping\n");
}
