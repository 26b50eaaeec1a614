// SPDX-License-Identifier: BSD-3-Clause
/*
 * Reads options' data and sends replies to them. Entered by the session's
 * thread; calls conn.
 */
#include "option.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "conn.h"
#include "log.h"
#include "utf8.h"
#include "wire.h"

static bool read_bytes(struct option_reader *reader, void *out, size_t length)
{
    if (reader->left < length)
        return false;
    memcpy(out, reader->at, length);
    reader->at += length;
    reader->left -= length;
    return true;
}

bool option_read_number16(struct option_reader *reader, uint16_t *out)
{
    *out = 0;
    bool is_there = read_bytes(reader, out, sizeof *out);

    *out = be16toh(*out);
    return is_there;
}

bool option_read_number32(struct option_reader *reader, uint32_t *out)
{
    *out = 0;
    bool is_there = read_bytes(reader, out, sizeof *out);

    *out = be32toh(*out);
    return is_there;
}

char *option_read_string(struct option_reader *reader)
{
    uint32_t length;

    if (!option_read_number32(reader, &length) || length > reader->left)
        return NULL;
    char *string = strndup(reader->at, length);
    if (string && strlen(string) != length) {
        free(string); /* a NUL inside */
        return NULL;
    }
    reader->at += length;
    reader->left -= length;
    return string;
}

enum option_outcome option_reply_parts(struct conn *conn, const struct option *option,
                                       uint32_t type, struct iovec first, struct iovec second)
{
    struct wire_option_reply header = {
        .magic = htobe64(WIRE_OPTION_REPLY_MAGIC),
        .option = htobe32(option->number),
        .type = htobe32(type),
        .length = htobe32((uint32_t)(first.iov_len + second.iov_len)),
    };
    struct iovec vectors[] = { { &header, sizeof header }, first, second };

    return conn_send(conn, vectors, 3) < 0 ? OPTION_FAILED : OPTION_NEXT;
}

enum option_outcome option_reply_data(struct conn *conn, const struct option *option, uint32_t type,
                                      struct iovec data)
{
    return option_reply_parts(conn, option, type, data, (struct iovec){ NULL, 0 });
}

enum option_outcome option_reply_ack(struct conn *conn, const struct option *option)
{
    return option_reply_data(conn, option, NBD_REP_ACK, (struct iovec){ NULL, 0 });
}

enum option_outcome option_reply_error(struct conn *conn, const struct option *option,
                                       uint32_t type, const char *text)
{
    char message[WIRE_STRING_MAX + 1];
    size_t length = utf8_clean(message, sizeof message, text);

    log_debug("option %" PRIu32 " refused: %s", option->number, message);
    return option_reply_data(conn, option, type, (struct iovec){ message, length });
}
