// SPDX-License-Identifier: BSD-3-Clause
/*
 * What NBDKit.ml declares as external: the server's functions for OCaml. Owns
 * nothing. OCaml's threads enter, with the runtime held; whatever may wait is
 * done without it. Calls call and the plugin API.
 */
#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include <caml/alloc.h>
#include <caml/bigarray.h>
#include <caml/fail.h>
#include <caml/memory.h>
#include <caml/threads.h>
#include <caml/version.h>

#include "call.h"

/* OCaml's unix library has it, under a name for each of its ages. */
#if OCAML_VERSION_MAJOR >= 5
#define code_of_unix_error caml_unix_code_of_unix_error
#endif
extern int code_of_unix_error(value error);

/* An external of OCaml's, with its declaration. */
#define EXTERNAL(name, ...)                                                                        \
    CAMLprim value nbdlab_ocaml_##name(__VA_ARGS__);                                               \
    CAMLprim value nbdlab_ocaml_##name(__VA_ARGS__)

/* Buffers. */

EXTERNAL(copy_to_buf, value from, value from_pos, value buf, value buf_pos, value length)
{
    memcpy((char *)Caml_ba_data_val(buf) + Long_val(buf_pos), String_val(from) + Long_val(from_pos),
           (size_t)Long_val(length));
    return Val_unit;
}

EXTERNAL(copy_from_buf, value buf, value buf_pos, value to, value to_pos, value length)
{
    memcpy(Bytes_val(to) + Long_val(to_pos), (char *)Caml_ba_data_val(buf) + Long_val(buf_pos),
           (size_t)Long_val(length));
    return Val_unit;
}

/* Errors and messages. */

EXTERNAL(errno_of_error, value error)
{
    return Val_int(code_of_unix_error(error));
}

EXTERNAL(errno_of_no_memory, value unit)
{
    (void)unit;
    return Val_int(ENOMEM);
}

EXTERNAL(set_error, value error)
{
    call_set_error(code_of_unix_error(error));
    return Val_unit;
}

/* The log may be a pipe that nobody reads just now. */
EXTERNAL(error, value text)
{
    char *copy = caml_stat_strdup(String_val(text));

    caml_release_runtime_system();
    nbdkit_error("%s", copy);
    caml_acquire_runtime_system();
    caml_stat_free(copy);
    return Val_unit;
}

EXTERNAL(debug, value text)
{
    char *copy = caml_stat_strdup(String_val(text));

    caml_release_runtime_system();
    nbdkit_debug("%s", copy);
    caml_acquire_runtime_system();
    caml_stat_free(copy);
    return Val_unit;
}

EXTERNAL(debug_hexdump, value buf, value prefix, value start)
{
    CAMLparam1(buf);
    const struct caml_ba_array *array = Caml_ba_array_val(buf);
    const void *data = array->data;
    size_t length = (size_t)array->dim[0];
    uint64_t first = (uint64_t)Int64_val(start);
    char *copy = caml_stat_strdup(String_val(prefix));

    caml_release_runtime_system();
    nbdkit_debug_hexdump(data, length, copy, first);
    caml_acquire_runtime_system();
    caml_stat_free(copy);
    CAMLreturn(Val_unit);
}

/* Parameters. */

/* The server's functions take a text up to the first character with the code 0. */
static const char *get_text(value text)
{
    if (!caml_string_is_c_safe(text))
        caml_invalid_argument("the text has a character with the code 0");
    return String_val(text);
}

EXTERNAL(parse_size, value text)
{
    int64_t size = nbdkit_parse_size(get_text(text));

    if (size < 0)
        call_refuse_reported("NBDKit.parse_size");
    return caml_copy_int64(size);
}

EXTERNAL(parse_bool, value text)
{
    int is_true = nbdkit_parse_bool(get_text(text));

    if (is_true < 0)
        call_refuse_reported("NBDKit.parse_bool");
    return Val_bool(is_true);
}

EXTERNAL(parse_delay, value what, value text)
{
    unsigned seconds;
    unsigned nanoseconds;

    if (nbdkit_parse_delay(get_text(what), get_text(text), &seconds, &nanoseconds) < 0)
        call_refuse_reported("NBDKit.parse_delay");
    value pair = caml_alloc_small(2, 0);
    Field(pair, 0) = Val_long(seconds);
    Field(pair, 1) = Val_long(nanoseconds);
    return pair;
}

EXTERNAL(parse_probability, value what, value text)
{
    double probability;

    if (nbdkit_parse_probability(get_text(what), get_text(text), &probability) < 0)
        call_refuse_reported("NBDKit.parse_probability");
    return caml_copy_double(probability);
}

/* A string of the server's that is ours to free, or NULL after an error. */
static value take_text(char *text, const char *what)
{
    if (!text)
        call_fail_reported(what);
    value copy = caml_copy_string(text);
    free(text);
    return copy;
}

/* It may ask at the terminal. */
EXTERNAL(read_password, value text)
{
    char *source = caml_stat_strdup(get_text(text));
    char *password = NULL;

    caml_release_runtime_system();
    int result = nbdkit_read_password(source, &password);
    caml_acquire_runtime_system();
    caml_stat_free(source);
    return take_text(result < 0 ? NULL : password, "NBDKit.read_password");
}

static value convert_path(value path, char *(*convert)(const char *), const char *what)
{
    char *source = caml_stat_strdup(get_text(path));

    caml_release_runtime_system();
    char *converted = convert(source);
    int error = errno;
    caml_acquire_runtime_system();
    caml_stat_free(source);
    errno = error;
    return take_text(converted, what);
}

EXTERNAL(realpath, value path)
{
    return convert_path(path, nbdkit_realpath, "NBDKit.realpath");
}

EXTERNAL(absolute_path, value path)
{
    return convert_path(path, nbdkit_absolute_path, "NBDKit.absolute_path");
}

EXTERNAL(stdio_safe, value unit)
{
    (void)unit;
    return Val_bool(nbdkit_stdio_safe() > 0);
}

/* The connection. */

EXTERNAL(export_name, value unit)
{
    const char *name = nbdkit_export_name();

    (void)unit;
    if (!name)
        call_fail_reported("NBDKit.export_name");
    return caml_copy_string(name);
}

EXTERNAL(is_tls, value unit)
{
    int is_tls = nbdkit_is_tls();

    (void)unit;
    if (is_tls < 0)
        call_fail_reported("NBDKit.is_tls");
    return Val_bool(is_tls);
}

/* Unix.ADDR_UNIX; a client's socket has no name as a rule, an abstract one begins with a 0. */
static value make_unix_address(const struct sockaddr_un *address, size_t length)
{
    CAMLparam0();
    CAMLlocal2(path, result);
    size_t start = offsetof(struct sockaddr_un, sun_path);
    size_t count = length > start ? length - start : 0;

    if (count > 0 && address->sun_path[0] != '\0')
        count = strnlen(address->sun_path, count);
    path = caml_alloc_initialized_string(count, address->sun_path);
    result = caml_alloc_small(1, 0);
    Field(result, 0) = path;
    CAMLreturn(result);
}

/* Unix.ADDR_INET of an address with `length` bytes. */
static value make_inet_address(const void *bytes, size_t length, in_port_t port)
{
    CAMLparam0();
    CAMLlocal2(address, result);

    address = caml_alloc_initialized_string(length, bytes);
    result = caml_alloc_small(2, 1);
    Field(result, 0) = address;
    Field(result, 1) = Val_int(ntohs(port));
    CAMLreturn(result);
}

EXTERNAL(peer_name, value unit)
{
    union {
        struct sockaddr any;
        struct sockaddr_un un;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_storage storage;
    } address = { .storage.ss_family = AF_UNSPEC };
    socklen_t length = sizeof address;

    (void)unit;
    if (nbdkit_peer_name(&address.any, &length) < 0)
        call_fail_reported("NBDKit.peer_name");
    switch (address.any.sa_family) {
    case AF_UNIX:
        return make_unix_address(&address.un, length);
    case AF_INET:
        return make_inet_address(&address.in.sin_addr, 4, address.in.sin_port);
    case AF_INET6:
        return make_inet_address(&address.in6.sin6_addr, 16, address.in6.sin6_port);
    default:
        caml_failwith("NBDKit.peer_name: the client's address is of a kind that Unix has not");
    }
}

static value make_number(int64_t number, const char *what)
{
    if (number < 0)
        call_fail_reported(what);
    return caml_copy_int64(number);
}

EXTERNAL(peer_pid, value unit)
{
    (void)unit;
    return make_number(nbdkit_peer_pid(), "NBDKit.peer_pid");
}

EXTERNAL(peer_uid, value unit)
{
    (void)unit;
    return make_number(nbdkit_peer_uid(), "NBDKit.peer_uid");
}

EXTERNAL(peer_gid, value unit)
{
    (void)unit;
    return make_number(nbdkit_peer_gid(), "NBDKit.peer_gid");
}

EXTERNAL(peer_security_context, value unit)
{
    (void)unit;
    return take_text(nbdkit_peer_security_context(), "NBDKit.peer_security_context");
}

EXTERNAL(peer_tls_dn, value unit)
{
    (void)unit;
    return take_text(nbdkit_peer_tls_dn(), "NBDKit.peer_tls_dn");
}

EXTERNAL(peer_tls_issuer_dn, value unit)
{
    (void)unit;
    return take_text(nbdkit_peer_tls_issuer_dn(), "NBDKit.peer_tls_issuer_dn");
}

/* The server. */

EXTERNAL(nanosleep, value seconds, value nanoseconds)
{
    intnat sec = Long_val(seconds);
    intnat nsec = Long_val(nanoseconds);

    if (sec < 0 || sec > UINT_MAX || nsec < 0 || nsec > UINT_MAX)
        caml_invalid_argument("NBDKit.nanosleep");
    caml_release_runtime_system();
    int result = nbdkit_nanosleep((unsigned)sec, (unsigned)nsec);
    int error = errno;
    caml_acquire_runtime_system();
    errno = error;
    if (result < 0)
        call_fail_reported("NBDKit.nanosleep");
    return Val_unit;
}

EXTERNAL(shutdown, value unit)
{
    (void)unit;
    caml_release_runtime_system();
    nbdkit_shutdown();
    caml_acquire_runtime_system();
    return Val_unit;
}

/* Replies that wait are sent first. */
EXTERNAL(disconnect, value force)
{
    int is_forced = Bool_val(force);

    caml_release_runtime_system();
    nbdkit_disconnect(is_forced);
    caml_acquire_runtime_system();
    return Val_unit;
}

EXTERNAL(stop_fd, value unit)
{
    (void)unit;
    return Val_int(nbdkit_stop_fd());
}

EXTERNAL(name, value unit)
{
    (void)unit;
    return caml_copy_string(nbdkit_name());
}

EXTERNAL(timestamp, value unit)
{
    (void)unit;
    return caml_copy_string(nbdkit_timestamp());
}

EXTERNAL(version, value unit)
{
    (void)unit;
    return caml_copy_string(NBDKIT_VERSION_STRING);
}

EXTERNAL(api_version, value unit)
{
    (void)unit;
    return Val_int(NBDKIT_API_VERSION);
}
