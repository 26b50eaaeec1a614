// SPDX-License-Identifier: BSD-3-Clause
/*
 * Makes URIs (NBD's uri.md, RFC 3986). Owns nothing. Entered by the main
 * thread; calls files, log and the API's paths.
 */
#include "uri.h"

#include <ctype.h>
#include <linux/vm_sockets.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "cleanup.h"
#include "files.h"
#include "listen.h"
#include "log.h"
#define NBDKIT_API_VERSION 2
#include "nbdkit-plugin.h"
#include "options.h"

/* Percent-encodes what a part of a URI cannot hold (RFC 3986, section 2). */
static void write_part(FILE *out, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x80 && (isalnum(c) || strchr("-._~/", c)))
            fputc(c, out);
        else
            fprintf(out, "%%%02X", c);
    }
}

/* A file's name that holds whatever folder the client runs in. */
static void write_path(FILE *out, const char *path)
{
    CLEANUP_FREE char *absolute = nbdkit_absolute_path(path);
    const char *written = absolute ? absolute : path;

    write_part(out, written, strlen(written));
}

/* The first user in the file of keys, lines of NAME:KEY, and an @ after it. */
static void write_user(FILE *out, const char *psk_path)
{
    int fd = files_open_to_read(psk_path);
    FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
    CLEANUP_FREE char *line = NULL;
    size_t size = 0;

    if (!file)
        return;
    while (getline(&line, &size, file) > 0) {
        const char *colon = strchr(line, ':');
        if (*line == '#' || !colon || colon == line)
            continue;
        write_part(out, line, (size_t)(colon - line));
        fputc('@', out);
        break;
    }
    fclose(file);
}

static void write_host(FILE *out, const char *host)
{
    bool is_ipv6 = strchr(host, ':');

    fputs(is_ipv6 ? "[" : "", out);
    for (; *host; host++)
        if (*host == '%')
            fputs("%25", out);
        else
            fputc(*host, out);
    fputs(is_ipv6 ? "]" : "", out);
}

static void write_authority(FILE *out, const struct listen_place *place)
{
    if (place->family == AF_UNIX)
        return;
    if (place->family == AF_VSOCK)
        fprintf(out, "%u", VMADDR_CID_LOCAL);
    else
        write_host(out, place->host);
    fprintf(out, ":%u", place->port);
}

static void write_query(FILE *out, const struct listen_place *place, const struct options *options,
                        bool has_tls)
{
    const char *separator = "?";

    if (place->family == AF_UNIX) {
        fputs("?socket=", out);
        write_path(out, place->unix_path);
        separator = "&";
    }
    if (has_tls && options->tls_psk) {
        fprintf(out, "%stls-psk-file=", separator);
        write_path(out, options->tls_psk);
    } else if (has_tls && options->tls_certificates) {
        fprintf(out, "%stls-certificates=", separator);
        write_path(out, options->tls_certificates);
    }
}

static const char *name_kind(int family)
{
    return family == AF_UNIX ? "+unix" : family == AF_VSOCK ? "+vsock" : "";
}

char *uri_make(const struct listen_place *place, const struct options *options)
{
    bool has_tls = options->policy.tls == TLS_REQUIRE;
    char *uri = NULL;
    size_t length;
    FILE *out = open_memstream(&uri, &length);

    if (!out)
        return NULL;
    fprintf(out, "nbd%s%s://", has_tls ? "s" : "", name_kind(place->family));
    if (has_tls && options->tls_psk)
        write_user(out, options->tls_psk);
    write_authority(out, place);
    /* Clients take "nbd://host" and "nbd://host/" for the same; scripts compare with nbdkit's. */
    if (*options->export_name)
        fputc('/', out);
    write_part(out, options->export_name, strlen(options->export_name));
    write_query(out, place, options, has_tls);
    return fclose(out) == 0 ? uri : NULL;
}

void uri_write_quoted(FILE *out, const char *text)
{
    fputc('\'', out);
    for (; *text; text++)
        if (*text == '\'')
            fputs("'\\''", out);
        else
            fputc(*text, out);
    fputc('\'', out);
}

static int print_place(const struct listen_place *place, const struct options *options)
{
    CLEANUP_FREE char *uri = uri_make(place, options);

    if (!uri) {
        log_error("--print-uri: %m");
        return -1;
    }
    printf("%s\nin a shell: ", uri);
    uri_write_quoted(stdout, uri);
    printf("\nto see what is there: nbdinfo ");
    uri_write_quoted(stdout, uri);
    printf("\n");
    return 0;
}

int uri_print(const struct listen_sockets *sockets, const struct options *options)
{
    struct listen_place place;

    for (unsigned i = 0; i < sockets->count; i++) {
        if (listen_find_place(sockets, i, &place) < 0)
            continue;
        if (print_place(&place, options) < 0)
            return -1;
        /* Our own are one place, with an address or two. */
        if (!sockets->is_activated)
            break;
    }
    fflush(stdout);
    return 0;
}
