/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Constants and server functions that plugins share. Include
 * <nbdkit-plugin.h>, not this file. nbdlab-plugin(3) describes every function
 * with its units, ranges and errors.
 */
#ifndef NBDKIT_COMMON_H
#define NBDKIT_COMMON_H

#if !defined(NBDKIT_PLUGIN_H)
#error "include <nbdkit-plugin.h> instead of <nbdkit-common.h>"
#endif

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <nbdkit-version.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__) || defined(__clang__)
#define NBDKIT_PRINTF(format, first) __attribute__((__format__(__printf__, format, first)))
#else
#define NBDKIT_PRINTF(format, first)
#endif
#define NBDKIT_DLL_PUBLIC __attribute__((__visibility__("default")))

/* Thread models, the strictest first. */
#define NBDKIT_THREAD_MODEL_SERIALIZE_CONNECTIONS 0
#define NBDKIT_THREAD_MODEL_SERIALIZE_ALL_REQUESTS 1
#define NBDKIT_THREAD_MODEL_SERIALIZE_REQUESTS 2
#define NBDKIT_THREAD_MODEL_PARALLEL 3

/* Flags of the data callbacks. */
#define NBDKIT_FLAG_MAY_TRIM (1 << 0)
#define NBDKIT_FLAG_FUA (1 << 1)
#define NBDKIT_FLAG_REQ_ONE (1 << 2)
#define NBDKIT_FLAG_FAST_ZERO (1 << 3)

/* Results of can_fua. */
#define NBDKIT_FUA_NONE 0
#define NBDKIT_FUA_EMULATE 1
#define NBDKIT_FUA_NATIVE 2

/* Results of can_cache. */
#define NBDKIT_CACHE_NONE 0
#define NBDKIT_CACHE_EMULATE 1
#define NBDKIT_CACHE_NATIVE 2

/* Types of an extent; the values of NBD_STATE_HOLE and NBD_STATE_ZERO. */
#define NBDKIT_EXTENT_HOLE (1 << 0)
#define NBDKIT_EXTENT_ZERO (1 << 1)

/* A handle for plugins that keep nothing per connection. */
#define NBDKIT_HANDLE_NOT_NEEDED (&errno)

/* Messages. A message has no newline at its end; errno is preserved. */
extern void nbdkit_error(const char *format, ...) NBDKIT_PRINTF(1, 2);
extern void nbdkit_verror(const char *format, va_list args) NBDKIT_PRINTF(1, 0);
extern void nbdkit_warning(const char *format, ...)
    NBDKIT_PRINTF(1, 2); /* an addition of nbdlab's */
extern void nbdkit_debug(const char *format, ...) NBDKIT_PRINTF(1, 2);
extern void nbdkit_vdebug(const char *format, va_list args) NBDKIT_PRINTF(1, 0);

/* `len` bytes as rows of 16, and the rows in which two buffers differ, for debugging. */
extern void nbdkit_debug_hexdump(const void *buf, size_t len, const char *prefix, uint64_t start);
extern void nbdkit_debug_hexdiff(const void *buf1, const void *buf2, size_t len, const char *prefix,
                                 uint64_t start);

/* Date and time as text, the thread's until its next call; the name that --name gave. */
extern const char *nbdkit_timestamp(void);
extern const char *nbdkit_name(void);

/* Parsers of parameters: 0 or the value, -1 after nbdkit_error. */
extern int64_t nbdkit_parse_size(const char *str);
extern int nbdkit_parse_bool(const char *str);
extern int nbdkit_parse_probability(const char *what, const char *str, double *r);
extern int nbdkit_parse_delay(const char *what, const char *str, unsigned *sec, unsigned *nsec);
extern int nbdkit_parse_int(const char *what, const char *str, int *r);
extern int nbdkit_parse_unsigned(const char *what, const char *str, unsigned *r);
extern int nbdkit_parse_int8_t(const char *what, const char *str, int8_t *r);
extern int nbdkit_parse_uint8_t(const char *what, const char *str, uint8_t *r);
extern int nbdkit_parse_int16_t(const char *what, const char *str, int16_t *r);
extern int nbdkit_parse_uint16_t(const char *what, const char *str, uint16_t *r);
extern int nbdkit_parse_int32_t(const char *what, const char *str, int32_t *r);
extern int nbdkit_parse_uint32_t(const char *what, const char *str, uint32_t *r);
extern int nbdkit_parse_int64_t(const char *what, const char *str, int64_t *r);
extern int nbdkit_parse_uint64_t(const char *what, const char *str, uint64_t *r);
extern int nbdkit_read_password(const char *value, char **password);

/* Paths, standard input and output. The returned paths are the caller's to free. */
extern char *nbdkit_absolute_path(const char *path);
extern char *nbdkit_realpath(const char *path);
extern int nbdkit_stdio_safe(void);

/* Waiting, stopping, and throwing a client out. */
extern int nbdkit_nanosleep(unsigned sec, unsigned nsec);
extern void nbdkit_shutdown(void);
extern void nbdkit_disconnect(int force);

/*
 * An addition of nbdlab's: a descriptor for poll(2), readable (POLLIN) from
 * the moment that the server begins to stop. It belongs to the server.
 */
extern int nbdkit_stop_fd(void);

/* The client of the connection that the calling thread serves. */
extern int nbdkit_peer_name(struct sockaddr *addr, socklen_t *addrlen);
extern int64_t nbdkit_peer_pid(void);
extern int64_t nbdkit_peer_uid(void);
extern int64_t nbdkit_peer_gid(void);
extern char *nbdkit_peer_security_context(void);
extern char *nbdkit_peer_tls_dn(void);
extern char *nbdkit_peer_tls_issuer_dn(void);

/* Copies of strings that live as long as the connection, or as the plugin. */
extern const char *nbdkit_strdup_intern(const char *str);
extern const char *nbdkit_strndup_intern(const char *str, size_t n);
extern const char *nbdkit_printf_intern(const char *format, ...) NBDKIT_PRINTF(1, 2);
extern const char *nbdkit_vprintf_intern(const char *format, va_list args) NBDKIT_PRINTF(1, 0);

/* What the callbacks extents and list_exports fill in. */
struct nbdkit_extents;
extern int nbdkit_add_extent(struct nbdkit_extents *extents, uint64_t offset, uint64_t length,
                             uint32_t type);
struct nbdkit_exports;
extern int nbdkit_add_export(struct nbdkit_exports *exports, const char *name,
                             const char *description);
extern int nbdkit_use_default_export(struct nbdkit_exports *exports);

/* Lists of one's own. */
struct nbdkit_extent {
    uint64_t offset;
    uint64_t length;
    uint32_t type;
};
extern struct nbdkit_extents *nbdkit_extents_new(uint64_t start, uint64_t end);
extern void nbdkit_extents_free(struct nbdkit_extents *extents);
extern size_t nbdkit_extents_count(const struct nbdkit_extents *extents);
extern struct nbdkit_extent nbdkit_get_extent(const struct nbdkit_extents *extents, size_t i);

struct nbdkit_export {
    char *name;
    char *description;
};
extern struct nbdkit_exports *nbdkit_exports_new(void);
extern void nbdkit_exports_free(struct nbdkit_exports *exports);
extern size_t nbdkit_exports_count(const struct nbdkit_exports *exports);
extern struct nbdkit_export nbdkit_get_export(const struct nbdkit_exports *exports, size_t i);

#ifdef __cplusplus
}
#define NBDKIT_CXX_LANG_C extern "C"
#else
#define NBDKIT_CXX_LANG_C
#endif

#endif
