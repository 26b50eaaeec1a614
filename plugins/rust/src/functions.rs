// SPDX-License-Identifier: BSD-3-Clause
//! What a plugin may ask the server, or ask it to do.

use crate::message::to_c;
use crate::{ffi, Error, Result};
use std::ffi::CStr;
use std::os::raw::{c_char, c_uint};
use std::os::unix::io::RawFd;
use std::time::Duration;

/// A text that the server keeps; bytes that are not UTF-8 are replaced.
fn borrowed(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}

/// A text that is ours to free, or the failure of the function that should have returned it.
pub(crate) fn owned(text: *mut c_char, function: &str) -> Result<String> {
    if text.is_null() {
        return Err(Error::logged_by_system(function));
    }
    let copy = borrowed(text);
    unsafe { ffi::free(text.cast()) };
    Ok(copy)
}

/// Asks the server to stop, and returns at once.
///
/// What is going on is ended in good order: calls that have begun return, replies are sent, all
/// connections are closed. The plugin may be called further until then. It may be called from any
/// thread.
pub fn shutdown() {
    unsafe { ffi::nbdkit_shutdown() };
}

/// Asks the server to end the connection that this thread serves, and returns at once.
///
/// With `force` the client gets no further reply, not even to this request. Without it, requests
/// that have begun are answered, and all others fail with ESHUTDOWN. It has an effect in methods
/// that have `&self` only; to turn a client away earlier, fail in [`open`](crate::Server::open).
pub fn disconnect(force: bool) {
    unsafe { ffi::nbdkit_disconnect(force.into()) };
}

/// The errno that the client gets if this method fails with an error that has none.
pub fn set_error(errno: i32) {
    unsafe { ffi::nbdkit_set_error(errno) };
}

/// The name of the export that the client has asked for; often it is empty.
///
/// The client can send what it likes: do not use the name as a path without a look at it.
///
/// # Errors
///
/// There is no client, because the method is not called for one; or the name is not UTF-8.
pub fn export_name() -> std::result::Result<String, Box<dyn std::error::Error>> {
    let name = unsafe { ffi::nbdkit_export_name() };
    if name.is_null() {
        return Err(Error::logged_by_system("export_name").into());
    }
    Ok(unsafe { CStr::from_ptr(name) }.to_str()?.to_owned())
}

/// Whether the client uses TLS.
///
/// # Errors
///
/// There is no client, because the method is not called for one.
pub fn is_tls() -> Result<bool> {
    match unsafe { ffi::nbdkit_is_tls() } {
        -1 => Err(Error::logged_by_system("is_tls")),
        answer => Ok(answer != 0),
    }
}

/// Whether `config` and `config_complete` may use standard input and output. With the server's
/// option `-s` the client is there.
pub fn is_stdio_safe() -> bool {
    unsafe { ffi::nbdkit_stdio_safe() == 1 }
}

/// [`is_stdio_safe`] by the name that it has in other languages.
pub fn stdio_safe() -> bool {
    is_stdio_safe()
}

/// Waits, but no longer than there is somebody to wait for.
///
/// # Errors
///
/// ESHUTDOWN if the server is stopping, or the connection has ended; EINVAL if it is too long.
pub fn nanosleep(duration: Duration) -> Result<()> {
    let seconds = c_uint::try_from(duration.as_secs())?;
    match unsafe { ffi::nbdkit_nanosleep(seconds, duration.subsec_nanos()) } {
        -1 => Err(Error::logged_by_system("nanosleep")),
        _ => Ok(()),
    }
}

/// A descriptor for poll(2) that is readable from the moment that the server begins to stop.
///
/// It is the server's: do not read from it, do not close it. nbdkit has no such function, so a
/// plugin that uses it runs in nbdlab only.
pub fn stop_fd() -> RawFd {
    unsafe { ffi::nbdkit_stop_fd() }
}

/// The local date and time, as `2026-11-22 16:05:00.123456`. nbdkit has it from 1.48 on.
pub fn timestamp() -> String {
    borrowed(unsafe { ffi::nbdkit_timestamp() })
}

/// The name that the option `--name` has given to this server, or nothing. nbdkit has it from 1.48
/// on.
pub fn server_name() -> String {
    borrowed(unsafe { ffi::nbdkit_name() })
}

/// Logs bytes, 16 to a line, if the server was started with `-v`. `start` is the offset that the
/// first one is shown with.
pub fn debug_hexdump(bytes: &[u8], prefix: &str, start: u64) {
    let prefix = to_c(prefix);
    unsafe {
        ffi::nbdkit_debug_hexdump(bytes.as_ptr().cast(), bytes.len(), prefix.as_ptr(), start)
    };
}

/// Logs the lines of 16 bytes in which two buffers differ, if the server was started with `-v`.
///
/// # Panics
///
/// The buffers have different lengths.
pub fn debug_hexdiff(one: &[u8], other: &[u8], prefix: &str, start: u64) {
    assert_eq!(
        one.len(),
        other.len(),
        "debug_hexdiff compares buffers of one length"
    );
    let prefix = to_c(prefix);
    let (one, length) = (one.as_ptr().cast(), one.len());
    unsafe {
        ffi::nbdkit_debug_hexdiff(one, other.as_ptr().cast(), length, prefix.as_ptr(), start)
    };
}
