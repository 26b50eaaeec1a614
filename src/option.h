/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An option that the client sent in the handshake: reading its data and
 * replying to it (proto.md, "Fixed newstyle negotiation"). Session's thread.
 */
#ifndef OPTION_H
#define OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct conn;

/* What comes after an option. */
enum option_outcome {
    OPTION_NEXT,
    OPTION_CHOSEN, /* an export: the transmission phase begins */
    OPTION_CLIENT_ENDS,
    OPTION_FAILED,
};

struct option {
    uint32_t number;
    uint32_t length;
    const char *data;   /* `length` bytes, and a NUL behind them */
    bool has_no_zeroes; /* the client's NBD_FLAG_C_NO_ZEROES */
};

/* A cursor over an option's data. */
struct option_reader {
    const char *at;
    size_t left;
};

/* Read a big-endian number. Return false, and *out is 0, where there is none left. */
bool option_read_number16(struct option_reader *reader, uint16_t *out);
bool option_read_number32(struct option_reader *reader, uint32_t *out);

/*
 * Reads a 32-bit length and a string of that many bytes. Returns a new string,
 * free(3) it; NULL if it does not fit or has a NUL in it.
 */
char *option_read_string(struct option_reader *reader);

/* Send one reply, with data of two parts, of one, or none. Return OPTION_NEXT or OPTION_FAILED. */
enum option_outcome option_reply_parts(struct conn *conn, const struct option *option,
                                       uint32_t type, struct iovec first, struct iovec second);
enum option_outcome option_reply_data(struct conn *conn, const struct option *option, uint32_t type,
                                      struct iovec data);
enum option_outcome option_reply_ack(struct conn *conn, const struct option *option);

/* Sends an error reply with a text for the user: section "Option reply types". Returns as above. */
enum option_outcome option_reply_error(struct conn *conn, const struct option *option,
                                       uint32_t type, const char *text);

#endif
