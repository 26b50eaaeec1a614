// SPDX-License-Identifier: BSD-3-Clause
/*
 * Reads a file of pre-shared keys. Owns the keys; calls nothing of ours.
 */
#include "tls_psk.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct user {
    struct user *next;
    char *name;
    size_t key_length;
    unsigned char *key;
};

struct tls_psk {
    struct user *users;
};

struct span {
    const char *at;
    size_t length;
};

static int get_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Returns half as many bytes as there are digits, and a NUL behind them; NULL if it is not hex. */
static unsigned char *decode_hex(struct span text)
{
    unsigned char *bytes = calloc(1, text.length / 2 + 1);

    for (size_t i = 0; bytes && i < text.length; i++) {
        int digit = get_digit(text.at[i]);
        if (digit < 0 || text.length % 2) {
            free(bytes);
            return NULL;
        }
        bytes[i / 2] = (unsigned char)(bytes[i / 2] << 4 | digit);
    }
    return bytes;
}

static void free_user(struct user *user)
{
    if (user->key)
        explicit_bzero(user->key, user->key_length);
    free(user->key);
    free(user->name);
    free(user);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void trim_end(struct span *text)
{
    while (text->length > 0 && is_space(text->at[text->length - 1]))
        text->length--;
}

/* #HEX is a name where all of it is hexadecimal; otherwise the line is a comment. */
static char *read_name(struct span text)
{
    if (text.length > 0 && *text.at == '#')
        return (char *)decode_hex((struct span){ text.at + 1, text.length - 1 });
    return strndup(text.at, text.length);
}

/* Returns NULL for a line that is malformed, or with *is_comment set. */
static struct user *read_line(struct span line, bool *is_comment)
{
    const char *colon = memchr(line.at, ':', line.length);
    struct user *user = calloc(1, sizeof *user);

    *is_comment = *line.at == '#';
    if (!user || !colon || colon == line.at || memchr(line.at, '\0', line.length)) {
        free(user);
        return NULL;
    }
    struct span name = { line.at, (size_t)(colon - line.at) };
    struct span key = { colon + 1, line.length - name.length - 1 };
    user->key_length = key.length / 2;
    user->name = read_name(name);
    user->key = user->name && key.length > 0 ? decode_hex(key) : NULL;
    if (user->key)
        return user;
    *is_comment = *is_comment && !user->name;
    free_user(user);
    return NULL;
}

static struct tls_psk *fail(struct tls_psk *psk, char *fault, const char *text)
{
    snprintf(fault, TLS_PSK_FAULT_MAX, "%s", text);
    tls_psk_free(psk);
    return NULL;
}

/* Appends the lines of the text. Returns 0, or the number of the line that is malformed. */
static unsigned read_lines(struct tls_psk *psk, struct span text)
{
    struct user **end = &psk->users;

    for (unsigned number = 1; text.length > 0; number++) {
        const char *newline = memchr(text.at, '\n', text.length);
        struct span line = { text.at, newline ? (size_t)(newline - text.at) + 1 : text.length };
        text = (struct span){ text.at + line.length, text.length - line.length };
        trim_end(&line);
        if (line.length == 0)
            continue;
        bool is_comment;
        struct user *user = read_line(line, &is_comment);
        if (!user && !is_comment)
            return number;
        if (user) {
            *end = user;
            end = &user->next;
        }
    }
    return 0;
}

struct tls_psk *tls_psk_parse(const char *text, size_t length, char fault[static TLS_PSK_FAULT_MAX])
{
    struct tls_psk *psk = calloc(1, sizeof *psk);
    char where[TLS_PSK_FAULT_MAX];

    if (!psk)
        return fail(NULL, fault, "no memory");
    unsigned line = read_lines(psk, (struct span){ text, length });
    snprintf(where, sizeof where,
             "line %u is not of the form USER:KEY with a hexadecimal key, as psktool(1) writes it",
             line);
    if (line > 0)
        return fail(psk, fault, where);
    if (!psk->users)
        return fail(psk, fault, "there is no USER:KEY in it; psktool(1) makes one");
    return psk;
}

void tls_psk_free(struct tls_psk *psk)
{
    while (psk && psk->users) {
        struct user *user = psk->users;
        psk->users = user->next;
        free_user(user);
    }
    free(psk);
}

const unsigned char *tls_psk_find(const struct tls_psk *psk, const char *user, size_t *length)
{
    for (const struct user *found = psk->users; found; found = found->next)
        if (strcmp(found->name, user) == 0) {
            *length = found->key_length;
            return found->key;
        }
    return NULL;
}
