// SPDX-License-Identifier: BSD-3-Clause
//! In place of the server, for the crate's own tests: functions that keep what they are given, or
//! answer simply. Each test has a thread, and what is kept is the thread's.

use crate::ffi::{Exports, Extents};
use std::cell::{Cell, RefCell};
use std::ffi::CStr;
use std::os::raw::{c_char, c_double, c_int, c_uint, c_void};
use std::ptr;

thread_local! {
    static LOG: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static ERRNO: Cell<i32> = const { Cell::new(0) };
}

/// The lines that were logged since the last call.
pub fn take_log() -> Vec<String> {
    LOG.with(|log| log.take())
}

/// The errno that was set since the last call, or 0.
pub fn take_errno() -> i32 {
    ERRNO.with(|errno| errno.take())
}

fn note(line: String) {
    println!("{}", line); // for a test that fails, whose own panic comes here too
    LOG.with(|log| log.borrow_mut().push(line));
}

unsafe fn text(text: *const c_char) -> String {
    match text.is_null() {
        true => "NULL".to_owned(),
        false => CStr::from_ptr(text).to_str().unwrap().to_owned(),
    }
}

extern "C" {
    fn strdup(text: *const c_char) -> *mut c_char;
}

// Those with variable arguments are only ever called with one.

#[no_mangle]
unsafe extern "C" fn nbdkit_error(format: *const c_char, message: *const c_char) {
    assert_eq!(text(format), "%s");
    note(format!("error: {}", text(message)));
}

#[no_mangle]
unsafe extern "C" fn nbdkit_debug(format: *const c_char, message: *const c_char) {
    assert_eq!(text(format), "%s");
    note(format!("debug: {}", text(message)));
}

#[no_mangle]
extern "C" fn nbdkit_set_error(errno: c_int) {
    ERRNO.with(|kept| kept.set(errno));
}

#[no_mangle]
unsafe extern "C" fn nbdkit_debug_hexdump(
    buf: *const c_void,
    len: usize,
    prefix: *const c_char,
    start: u64,
) {
    let bytes = std::slice::from_raw_parts(buf.cast::<u8>(), len);
    note(format!("hexdump: {:?} {} {}", bytes, text(prefix), start));
}

#[no_mangle]
unsafe extern "C" fn nbdkit_debug_hexdiff(
    one: *const c_void,
    other: *const c_void,
    len: usize,
    prefix: *const c_char,
    start: u64,
) {
    let one = std::slice::from_raw_parts(one.cast::<u8>(), len);
    let other = std::slice::from_raw_parts(other.cast::<u8>(), len);
    note(format!(
        "hexdiff: {:?} {:?} {} {}",
        one,
        other,
        text(prefix),
        start
    ));
}

#[no_mangle]
extern "C" fn nbdkit_timestamp() -> *const c_char {
    b"today\0".as_ptr().cast()
}

#[no_mangle]
extern "C" fn nbdkit_name() -> *const c_char {
    ptr::null()
}

/// A plain number; anything else is an error.
unsafe fn number<T: std::str::FromStr>(what: &str, value: *const c_char) -> Option<T> {
    let value = text(value);
    let parsed = value.parse().ok();
    if parsed.is_none() {
        note(format!("error: {}: no number: {}", what, value));
    }
    parsed
}

#[no_mangle]
unsafe extern "C" fn nbdkit_parse_size(value: *const c_char) -> i64 {
    number("size", value).unwrap_or(-1)
}

#[no_mangle]
unsafe extern "C" fn nbdkit_parse_bool(value: *const c_char) -> c_int {
    number("bool", value).unwrap_or(-1)
}

macro_rules! parsers {
    ($($name:ident $type:ty;)*) => {
        $(#[no_mangle]
        unsafe extern "C" fn $name(
            what: *const c_char,
            value: *const c_char,
            result: *mut $type,
        ) -> c_int {
            match number(&text(what), value) {
                Some(value) => {
                    *result = value;
                    0
                }
                None => -1,
            }
        })*
    };
}

parsers! {
    nbdkit_parse_probability c_double;
    nbdkit_parse_int c_int;
    nbdkit_parse_unsigned c_uint;
    nbdkit_parse_int8_t i8;
    nbdkit_parse_uint8_t u8;
    nbdkit_parse_int16_t i16;
    nbdkit_parse_uint16_t u16;
    nbdkit_parse_int32_t i32;
    nbdkit_parse_uint32_t u32;
    nbdkit_parse_int64_t i64;
    nbdkit_parse_uint64_t u64;
}

#[no_mangle]
unsafe extern "C" fn nbdkit_parse_delay(
    what: *const c_char,
    value: *const c_char,
    sec: *mut c_uint,
    nsec: *mut c_uint,
) -> c_int {
    *nsec = 5;
    nbdkit_parse_unsigned(what, value, sec)
}

#[no_mangle]
unsafe extern "C" fn nbdkit_read_password(
    value: *const c_char,
    password: *mut *mut c_char,
) -> c_int {
    *password = strdup(value);
    0
}

#[no_mangle]
unsafe extern "C" fn nbdkit_absolute_path(path: *const c_char) -> *mut c_char {
    match *path {
        0 => ptr::null_mut(),
        _ => strdup(path),
    }
}

#[no_mangle]
unsafe extern "C" fn nbdkit_realpath(path: *const c_char) -> *mut c_char {
    nbdkit_absolute_path(path)
}

#[no_mangle]
extern "C" fn nbdkit_stdio_safe() -> c_int {
    1
}

/// Wakes early from what takes more than a minute.
#[no_mangle]
extern "C" fn nbdkit_nanosleep(sec: c_uint, nsec: c_uint) -> c_int {
    note(format!("nanosleep: {} {}", sec, nsec));
    if sec > 60 {
        -1
    } else {
        0
    }
}

#[no_mangle]
extern "C" fn nbdkit_shutdown() {
    note("shutdown".to_owned());
}

#[no_mangle]
extern "C" fn nbdkit_disconnect(force: c_int) {
    note(format!("disconnect: {}", force));
}

#[no_mangle]
extern "C" fn nbdkit_stop_fd() -> c_int {
    17
}

/// There is no client.
#[no_mangle]
extern "C" fn nbdkit_export_name() -> *const c_char {
    note("error: no client".to_owned());
    ptr::null()
}

#[no_mangle]
extern "C" fn nbdkit_is_tls() -> c_int {
    -1
}

#[no_mangle]
extern "C" fn nbdkit_peer_name(_addr: *mut c_void, _addrlen: *mut u32) -> c_int {
    -1
}

#[no_mangle]
extern "C" fn nbdkit_peer_pid() -> i64 {
    -1
}

#[no_mangle]
extern "C" fn nbdkit_peer_uid() -> i64 {
    0
}

#[no_mangle]
extern "C" fn nbdkit_peer_gid() -> i64 {
    5
}

#[no_mangle]
extern "C" fn nbdkit_peer_security_context() -> *mut c_char {
    ptr::null_mut()
}

#[no_mangle]
unsafe extern "C" fn nbdkit_peer_tls_dn() -> *mut c_char {
    strdup(b"CN=somebody\0".as_ptr().cast())
}

#[no_mangle]
unsafe extern "C" fn nbdkit_peer_tls_issuer_dn() -> *mut c_char {
    strdup(b"\0".as_ptr().cast())
}

/// Nobody frees it; a test can live with that.
#[no_mangle]
unsafe extern "C" fn nbdkit_strdup_intern(text: *const c_char) -> *const c_char {
    strdup(text)
}

/// Refuses what begins at 13.
#[no_mangle]
extern "C" fn nbdkit_add_extent(_list: *mut Extents, offset: u64, length: u64, kind: u32) -> c_int {
    note(format!("extent: {} {} {}", offset, length, kind));
    if offset == 13 {
        -1
    } else {
        0
    }
}

#[no_mangle]
unsafe extern "C" fn nbdkit_add_export(
    _list: *mut Exports,
    name: *const c_char,
    description: *const c_char,
) -> c_int {
    note(format!("export: {} {}", text(name), text(description)));
    if text(name) == "refused" {
        -1
    } else {
        0
    }
}

#[no_mangle]
extern "C" fn nbdkit_use_default_export(_list: *mut Exports) -> c_int {
    note("default export".to_owned());
    0
}
