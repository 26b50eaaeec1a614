/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A client's connection, from open to close. Its members change only during
 * the handshake, which asks for one capability after another.
 */
#ifndef CONNECTION_H
#define CONNECTION_H

#define CONNECTION_NOT_ASKED (-1)

struct connection {
    int can_flush; /* the script's answers, on which other defaults depend */
    int can_zero;
    char handle[]; /* what open printed */
};

#endif
