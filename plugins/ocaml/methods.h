/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where things are in the records that NBDKit.ml hands over: the fields of its
 * types `facts` and `callbacks`, and the constructors of its variants, in
 * their order there.
 */
#ifndef METHODS_H
#define METHODS_H

enum fact {
    FACT_NAME, /* a string; the others are a string or none */
    FACT_LONGNAME,
    FACT_VERSION,
    FACT_DESCRIPTION,
    FACT_CONFIG_HELP,
    FACT_MAGIC_CONFIG_KEY,
};

enum method {
    METHOD_LOAD,
    METHOD_UNLOAD,
    METHOD_DUMP_PLUGIN,
    METHOD_CONFIG,
    METHOD_CONFIG_COMPLETE,
    METHOD_THREAD_MODEL,
    METHOD_GET_READY,
    METHOD_AFTER_FORK,
    METHOD_CLEANUP,
    METHOD_PRECONNECT,
    METHOD_LIST_EXPORTS,
    METHOD_DEFAULT_EXPORT,
    METHOD_OPEN,
    METHOD_CLOSE,
    METHOD_GET_SIZE,
    METHOD_EXPORT_DESCRIPTION,
    METHOD_BLOCK_SIZE,
    METHOD_CAN_WRITE,
    METHOD_CAN_FLUSH,
    METHOD_IS_ROTATIONAL,
    METHOD_CAN_TRIM,
    METHOD_CAN_ZERO,
    METHOD_CAN_FAST_ZERO,
    METHOD_CAN_EXTENTS,
    METHOD_CAN_MULTI_CONN,
    METHOD_CAN_FUA,
    METHOD_CAN_CACHE,
    METHOD_PREAD,
    METHOD_PWRITE,
    METHOD_FLUSH,
    METHOD_TRIM,
    METHOD_ZERO,
    METHOD_EXTENTS,
    METHOD_CACHE,
    METHOD_COUNT
};

enum flag_constructor { FLAG_MAY_TRIM, FLAG_FUA, FLAG_REQ_ONE, FLAG_FAST_ZERO };

/* The variants fua_flag, cache_flag and thread_model count as the constants of C do. */

enum extent_field { EXTENT_OFFSET, EXTENT_LENGTH, EXTENT_IS_HOLE, EXTENT_IS_ZERO };
enum export_field { EXPORT_NAME, EXPORT_DESCRIPTION };

#endif
