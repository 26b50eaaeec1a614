// SPDX-License-Identifier: BSD-3-Clause
//! Messages for the server's log. Any thread may log, at any time.

use crate::ffi;
use std::ffi::CString;
use std::fmt;

const FORMAT: *const std::os::raw::c_char = b"%s\0".as_ptr().cast();

/// A text for C, where no text can contain a NUL: `\0` is written instead.
pub(crate) fn to_c(text: &str) -> CString {
    CString::new(text).unwrap_or_else(|_| {
        CString::new(text.replace('\0', "\\0")).expect("every NUL was replaced")
    })
}

#[doc(hidden)]
pub fn write_debug(message: fmt::Arguments<'_>) {
    unsafe { ffi::nbdkit_debug(FORMAT, to_c(&message.to_string()).as_ptr()) };
}

#[doc(hidden)]
pub fn write_error(message: fmt::Arguments<'_>) {
    unsafe { ffi::nbdkit_error(FORMAT, to_c(&message.to_string()).as_ptr()) };
}

/// Logs a message if the server was started with `-v`. Its arguments are those of [`format!`].
///
/// ```no_run
/// # let (count, offset) = (512, 0);
/// nbdkit::debug!("{} bytes at {}", count, offset);
/// ```
#[macro_export]
macro_rules! debug {
    ($($argument:tt)+) => {
        $crate::write_debug(::std::format_args!($($argument)+))
    };
}

/// Logs an error without failing. Its arguments are those of [`format!`].
///
/// An [`Error`](crate::Error) that a method returns is logged by itself.
#[macro_export]
macro_rules! error {
    ($($argument:tt)+) => {
        $crate::write_error(::std::format_args!($($argument)+))
    };
}
