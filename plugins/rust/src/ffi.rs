// SPDX-License-Identifier: BSD-3-Clause
//! The server's API, as nbdkit-plugin.h and nbdkit-common.h declare it for C.
#![allow(missing_docs)]

use std::os::raw::{c_char, c_double, c_int, c_uint, c_void};

/// `struct nbdkit_extents` and `struct nbdkit_exports`, which only the server looks into.
#[repr(C)]
pub struct Extents {
    _private: [u8; 0],
}

#[repr(C)]
pub struct Exports {
    _private: [u8; 0],
}

type Handle = *mut c_void;
type Ask = Option<unsafe extern "C" fn(Handle) -> c_int>;
type Do = Option<unsafe extern "C" fn(Handle, u32, u64, u32) -> c_int>;
type Call = Option<unsafe extern "C" fn()>;
type Phase = Option<unsafe extern "C" fn() -> c_int>;
type Text = *const c_char;

/// `struct nbdkit_plugin` with API version 2. The order is the ABI.
#[repr(C)]
pub struct Plugin {
    pub struct_size: u64,
    pub api_version: c_int,
    pub own_thread_model: c_int,
    pub name: Text,
    pub longname: Text,
    pub version: Text,
    pub description: Text,
    pub load: Call,
    pub unload: Call,
    pub config: Option<unsafe extern "C" fn(Text, Text) -> c_int>,
    pub config_complete: Phase,
    pub config_help: Text,
    pub open: Option<unsafe extern "C" fn(c_int) -> Handle>,
    pub close: Option<unsafe extern "C" fn(Handle)>,
    pub get_size: Option<unsafe extern "C" fn(Handle) -> i64>,
    pub can_write: Ask,
    pub can_flush: Ask,
    pub is_rotational: Ask,
    pub can_trim: Ask,
    /// The callbacks of API version 1, which are never set.
    pub version_1: [*const c_void; 5],
    pub errno_is_preserved: c_int,
    pub dump_plugin: Call,
    pub can_zero: Ask,
    pub can_fua: Ask,
    pub pread: Option<unsafe extern "C" fn(Handle, *mut c_void, u32, u64, u32) -> c_int>,
    pub pwrite: Option<unsafe extern "C" fn(Handle, *const c_void, u32, u64, u32) -> c_int>,
    pub flush: Option<unsafe extern "C" fn(Handle, u32) -> c_int>,
    pub trim: Do,
    pub zero: Do,
    pub magic_config_key: Text,
    pub can_multi_conn: Ask,
    pub can_extents: Ask,
    pub extents: Option<unsafe extern "C" fn(Handle, u32, u64, u32, *mut Extents) -> c_int>,
    pub can_cache: Ask,
    pub cache: Do,
    pub thread_model: Phase,
    pub can_fast_zero: Ask,
    pub preconnect: Option<unsafe extern "C" fn(c_int) -> c_int>,
    pub get_ready: Phase,
    pub after_fork: Phase,
    pub list_exports: Option<unsafe extern "C" fn(c_int, c_int, *mut Exports) -> c_int>,
    pub default_export: Option<unsafe extern "C" fn(c_int, c_int) -> Text>,
    pub export_description: Option<unsafe extern "C" fn(Handle) -> Text>,
    pub cleanup: Call,
    pub block_size: Option<unsafe extern "C" fn(Handle, *mut u32, *mut u32, *mut u32) -> c_int>,
}

impl Plugin {
    /// A table with nothing in it.
    pub fn empty() -> Plugin {
        // Every member is a number or a pointer, or an Option of one that is None when it is 0.
        unsafe { std::mem::zeroed() }
    }
}

/// `Dl_info`.
#[repr(C)]
pub struct FoundSymbol {
    pub file: Text,
    pub base: *mut c_void,
    pub name: Text,
    pub address: *mut c_void,
}

extern "C" {
    pub fn nbdkit_error(format: Text, ...);
    pub fn nbdkit_debug(format: Text, ...);
    pub fn nbdkit_set_error(err: c_int);
    pub fn nbdkit_debug_hexdump(buf: *const c_void, len: usize, prefix: Text, start: u64);
    pub fn nbdkit_debug_hexdiff(
        buf1: *const c_void,
        buf2: *const c_void,
        len: usize,
        prefix: Text,
        start: u64,
    );
    pub fn nbdkit_timestamp() -> Text;
    pub fn nbdkit_name() -> Text;

    pub fn nbdkit_parse_size(text: Text) -> i64;
    pub fn nbdkit_parse_bool(text: Text) -> c_int;
    pub fn nbdkit_parse_probability(what: Text, text: Text, result: *mut c_double) -> c_int;
    pub fn nbdkit_parse_delay(what: Text, text: Text, sec: *mut c_uint, nsec: *mut c_uint)
        -> c_int;
    pub fn nbdkit_parse_int(what: Text, text: Text, result: *mut c_int) -> c_int;
    pub fn nbdkit_parse_unsigned(what: Text, text: Text, result: *mut c_uint) -> c_int;
    pub fn nbdkit_parse_int8_t(what: Text, text: Text, result: *mut i8) -> c_int;
    pub fn nbdkit_parse_uint8_t(what: Text, text: Text, result: *mut u8) -> c_int;
    pub fn nbdkit_parse_int16_t(what: Text, text: Text, result: *mut i16) -> c_int;
    pub fn nbdkit_parse_uint16_t(what: Text, text: Text, result: *mut u16) -> c_int;
    pub fn nbdkit_parse_int32_t(what: Text, text: Text, result: *mut i32) -> c_int;
    pub fn nbdkit_parse_uint32_t(what: Text, text: Text, result: *mut u32) -> c_int;
    pub fn nbdkit_parse_int64_t(what: Text, text: Text, result: *mut i64) -> c_int;
    pub fn nbdkit_parse_uint64_t(what: Text, text: Text, result: *mut u64) -> c_int;
    pub fn nbdkit_read_password(value: Text, password: *mut *mut c_char) -> c_int;
    pub fn nbdkit_absolute_path(path: Text) -> *mut c_char;
    pub fn nbdkit_realpath(path: Text) -> *mut c_char;
    pub fn nbdkit_stdio_safe() -> c_int;

    pub fn nbdkit_nanosleep(sec: c_uint, nsec: c_uint) -> c_int;
    pub fn nbdkit_shutdown();
    pub fn nbdkit_disconnect(force: c_int);
    pub fn nbdkit_stop_fd() -> c_int;

    pub fn nbdkit_export_name() -> Text;
    pub fn nbdkit_is_tls() -> c_int;
    pub fn nbdkit_peer_name(addr: *mut c_void, addrlen: *mut u32) -> c_int;
    pub fn nbdkit_peer_pid() -> i64;
    pub fn nbdkit_peer_uid() -> i64;
    pub fn nbdkit_peer_gid() -> i64;
    pub fn nbdkit_peer_security_context() -> *mut c_char;
    pub fn nbdkit_peer_tls_dn() -> *mut c_char;
    pub fn nbdkit_peer_tls_issuer_dn() -> *mut c_char;

    pub fn nbdkit_strdup_intern(text: Text) -> Text;
    pub fn nbdkit_add_extent(extents: *mut Extents, offset: u64, length: u64, kind: u32) -> c_int;
    pub fn nbdkit_add_export(exports: *mut Exports, name: Text, description: Text) -> c_int;
    pub fn nbdkit_use_default_export(exports: *mut Exports) -> c_int;

    // Of the C library, which the standard library is linked with anyway.
    pub fn free(memory: *mut c_void);
    pub fn dladdr(address: *const c_void, found: *mut FoundSymbol) -> c_int;
    pub fn dlopen(file: Text, flags: c_int) -> *mut c_void;
}
