/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Constants and layouts of the NBD protocol (proto.md, sections "Handshake
 * phase" and "Transmission phase" of "Values"). Numbers are big-endian.
 */
#ifndef WIRE_H
#define WIRE_H

#include <endian.h>
#include <stdint.h>

#define WIRE_INIT_PASSWD UINT64_C(0x4e42444d41474943)  /* "NBDMAGIC" */
#define WIRE_OPTION_MAGIC UINT64_C(0x49484156454f5054) /* "IHAVEOPT" */
#define WIRE_OLDSTYLE_MAGIC UINT64_C(0x00420281861253)
#define WIRE_OPTION_REPLY_MAGIC UINT64_C(0x3e889045565a9)
#define WIRE_REQUEST_MAGIC UINT32_C(0x25609513)
#define WIRE_SIMPLE_REPLY_MAGIC UINT32_C(0x67446698)
#define WIRE_STRUCTURED_REPLY_MAGIC UINT32_C(0x668e33ef)
#define WIRE_EXTENDED_REQUEST_MAGIC UINT32_C(0x21e41c71)
#define WIRE_EXTENDED_REPLY_MAGIC UINT32_C(0x6e8a278c)

/* "a string ... MUST be no longer than 4096 bytes": section "Conventions". */
enum { WIRE_STRING_MAX = 4096 };

/* Handshake flags and client flags. */
enum { NBD_FLAG_FIXED_NEWSTYLE = 1 << 0, NBD_FLAG_NO_ZEROES = 1 << 1 };

/* Transmission flags. */
enum {
    NBD_FLAG_HAS_FLAGS = 1 << 0,
    NBD_FLAG_READ_ONLY = 1 << 1,
    NBD_FLAG_SEND_FLUSH = 1 << 2,
    NBD_FLAG_SEND_FUA = 1 << 3,
    NBD_FLAG_ROTATIONAL = 1 << 4,
    NBD_FLAG_SEND_TRIM = 1 << 5,
    NBD_FLAG_SEND_WRITE_ZEROES = 1 << 6,
    NBD_FLAG_SEND_DF = 1 << 7,
    NBD_FLAG_CAN_MULTI_CONN = 1 << 8,
    NBD_FLAG_SEND_CACHE = 1 << 10,
    NBD_FLAG_SEND_FAST_ZERO = 1 << 11,
    NBD_FLAG_BLOCK_STATUS_PAYLOAD = 1 << 12,
};

/* Options, their replies and their information types. */
enum {
    NBD_OPT_EXPORT_NAME = 1,
    NBD_OPT_ABORT = 2,
    NBD_OPT_LIST = 3,
    NBD_OPT_STARTTLS = 5,
    NBD_OPT_INFO = 6,
    NBD_OPT_GO = 7,
    NBD_OPT_STRUCTURED_REPLY = 8,
    NBD_OPT_LIST_META_CONTEXT = 9,
    NBD_OPT_SET_META_CONTEXT = 10,
    NBD_OPT_EXTENDED_HEADERS = 11,
};

#define NBD_REP_ACK UINT32_C(1)
#define NBD_REP_SERVER UINT32_C(2)
#define NBD_REP_INFO UINT32_C(3)
#define NBD_REP_META_CONTEXT UINT32_C(4)
#define NBD_REP_ERR(n) (UINT32_C(0x80000000) + (n))
#define NBD_REP_ERR_UNSUP NBD_REP_ERR(1)
#define NBD_REP_ERR_POLICY NBD_REP_ERR(2)
#define NBD_REP_ERR_INVALID NBD_REP_ERR(3)
#define NBD_REP_ERR_TLS_REQD NBD_REP_ERR(5)
#define NBD_REP_ERR_UNKNOWN NBD_REP_ERR(6)
#define NBD_REP_ERR_SHUTDOWN NBD_REP_ERR(7)
#define NBD_REP_ERR_TOO_BIG NBD_REP_ERR(9)
#define NBD_REP_ERR_EXT_HEADER_REQD NBD_REP_ERR(10)

enum {
    NBD_INFO_EXPORT = 0,
    NBD_INFO_NAME = 1,
    NBD_INFO_DESCRIPTION = 2,
    NBD_INFO_BLOCK_SIZE = 3,
};

/* Commands and their flags. */
enum {
    NBD_CMD_READ = 0,
    NBD_CMD_WRITE = 1,
    NBD_CMD_DISC = 2,
    NBD_CMD_FLUSH = 3,
    NBD_CMD_TRIM = 4,
    NBD_CMD_CACHE = 5,
    NBD_CMD_WRITE_ZEROES = 6,
    NBD_CMD_BLOCK_STATUS = 7,
};

enum {
    NBD_CMD_FLAG_FUA = 1 << 0,
    NBD_CMD_FLAG_NO_HOLE = 1 << 1,
    NBD_CMD_FLAG_DF = 1 << 2,
    NBD_CMD_FLAG_REQ_ONE = 1 << 3,
    NBD_CMD_FLAG_FAST_ZERO = 1 << 4,
    NBD_CMD_FLAG_PAYLOAD_LEN = 1 << 5,
};

/* Structured and extended replies. */
enum { NBD_REPLY_FLAG_DONE = 1 << 0 };
enum {
    NBD_REPLY_TYPE_NONE = 0,
    NBD_REPLY_TYPE_OFFSET_DATA = 1,
    NBD_REPLY_TYPE_OFFSET_HOLE = 2,
    NBD_REPLY_TYPE_BLOCK_STATUS = 5,
    NBD_REPLY_TYPE_BLOCK_STATUS_EXT = 6,
    NBD_REPLY_TYPE_ERROR = 0x8001,
};

/* Error values: section "Error values". */
enum {
    NBD_EPERM = 1,
    NBD_EIO = 5,
    NBD_ENOMEM = 12,
    NBD_EINVAL = 22,
    NBD_ENOSPC = 28,
    NBD_EOVERFLOW = 75,
    NBD_ENOTSUP = 95,
    NBD_ESHUTDOWN = 108,
};

struct wire_greeting {
    uint64_t init_passwd;
    uint64_t option_magic;
    uint16_t handshake_flags;
} __attribute__((__packed__));

struct wire_option {
    uint64_t magic;
    uint32_t option;
    uint32_t length;
} __attribute__((__packed__));

struct wire_option_reply {
    uint64_t magic;
    uint32_t option;
    uint32_t type;
    uint32_t length;
} __attribute__((__packed__));

/* The length is of 32 bits, or with extended headers of 64. */
struct wire_request {
    uint32_t magic;
    uint16_t flags;
    uint16_t type;
    uint64_t cookie;
    uint64_t offset;
    union {
        uint32_t compact;
        uint64_t extended;
    } __attribute__((__packed__)) length;
} __attribute__((__packed__));

enum { WIRE_COMPACT_REQUEST_BYTES = 28, WIRE_EXTENDED_REQUEST_BYTES = 32 };
_Static_assert(sizeof(struct wire_request) == WIRE_EXTENDED_REQUEST_BYTES, "no padding");

struct wire_simple_reply {
    uint32_t magic;
    uint32_t error;
    uint64_t cookie;
} __attribute__((__packed__));

struct wire_chunk {
    uint32_t magic;
    uint16_t flags;
    uint16_t type;
    uint64_t cookie;
    uint32_t length;
} __attribute__((__packed__));

struct wire_extended_chunk {
    uint32_t magic;
    uint16_t flags;
    uint16_t type;
    uint64_t cookie;
    uint64_t offset;
    uint64_t length;
} __attribute__((__packed__));

struct wire_extent {
    uint32_t length;
    uint32_t flags;
} __attribute__((__packed__));

struct wire_extended_extent {
    uint64_t length;
    uint32_t padding;
    uint32_t flags;
} __attribute__((__packed__));

/* What NBD_CMD_BLOCK_STATUS may carry: here with room for the one context that there is. */
struct wire_filter {
    uint64_t length;
    uint32_t context_id;
} __attribute__((__packed__));

/* The ID of base:allocation, the only context. */
enum { WIRE_CONTEXT_ID = 1 };

#endif
