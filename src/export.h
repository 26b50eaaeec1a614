/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The export that a connection has open: opening, what the plugin says about
 * it (asked once per open), and listing. Session's thread only.
 */
#ifndef EXPORT_H
#define EXPORT_H

#include <stdint.h>

#include "api_log.h"

struct conn;
struct nbdkit_exports;

/* A read or a write may carry at most this many bytes, unless the plugin takes more at once. */
#define EXPORT_PAYLOAD_DEFAULT (UINT32_C(64) * 1024 * 1024)

/* Why an export could not be opened, or the list of them not be made. */
struct export_refusal {
    int error;                       /* the errno that the plugin chose, else EIO */
    char text[API_LOG_TEXT_MAX + 1]; /* its last message, or ours about what it did; "": none */
};

/*
 * Opens the export called `name` by the client and asks the plugin about it.
 * If it is open already, it stays open; if another one is, that one is closed
 * first. Returns 0, or -1 with *refusal after logging.
 */
int export_open(struct conn *conn, const char *name, struct export_refusal *refusal);

/* Calls the plugin's `close` if an export is open. */
void export_close(struct conn *conn);

/* The transmission flags (proto.md, "Transmission flags") of the open export. */
uint16_t export_get_flags(const struct conn *conn);

/* The description of the open export, valid as long as the connection, or NULL. */
const char *export_get_description(struct conn *conn);

/* Fills `exports` in. Returns as export_open(). */
int export_list(struct conn *conn, struct nbdkit_exports *exports, struct export_refusal *refusal);

/*
 * The name that "" stands for, or NULL if there is none. The plugin is asked until it has named
 * one, which holds for the connection, or until it is to be forgotten.
 */
const char *export_get_default_name(struct conn *conn);
void export_forget_default_name(struct conn *conn);

#endif
