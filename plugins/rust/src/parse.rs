// SPDX-License-Identifier: BSD-3-Clause
//! Reading what a user wrote as a parameter. All of these fail with EINVAL, after a message that
//! says what is wrong with the text.

use crate::errno::EINVAL;
use crate::functions::owned;
use crate::message::to_c;
use crate::{ffi, Error, Result};
use std::ptr;
use std::time::Duration;

/// A size in bytes, which may end in a letter: `100`, `4k`, `1M`.
///
/// # Errors
///
/// EINVAL, after a message, if it is none.
pub fn parse_size(s: &str) -> Result<i64> {
    match unsafe { ffi::nbdkit_parse_size(to_c(s).as_ptr()) } {
        -1 => Err(Error::logged(EINVAL, "parse_size")),
        size => Ok(size),
    }
}

/// A yes or no: `true`, `yes`, `on`, `1` and `false`, `no`, `off`, `0`, and their first letters.
///
/// # Errors
///
/// EINVAL, after a message, if it is none of these.
pub fn parse_bool(s: &str) -> Result<bool> {
    match unsafe { ffi::nbdkit_parse_bool(to_c(s).as_ptr()) } {
        -1 => Err(Error::logged(EINVAL, "parse_bool")),
        answer => Ok(answer != 0),
    }
}

/// A probability, as `0.1`, `10%`, `1:10` or `1/10`. It may be more than 1.
///
/// `what` is what the message calls it, such as the parameter's key.
///
/// # Errors
///
/// EINVAL, after a message, if it is none.
pub fn parse_probability(what: &str, s: &str) -> Result<f64> {
    let mut number = 0.0;
    match unsafe {
        ffi::nbdkit_parse_probability(to_c(what).as_ptr(), to_c(s).as_ptr(), &mut number)
    } {
        -1 => Err(Error::logged(EINVAL, "parse_probability")),
        _ => Ok(number),
    }
}

/// A time: seconds with or without a fraction, or a number with `s`, `ms`, `us` or `ns` after it.
///
/// nbdkit has it from 1.40 on.
///
/// # Errors
///
/// EINVAL, after a message, if it is none.
pub fn parse_delay(what: &str, s: &str) -> Result<Duration> {
    let (mut sec, mut nsec) = (0, 0);
    let (what, s) = (to_c(what), to_c(s));
    match unsafe { ffi::nbdkit_parse_delay(what.as_ptr(), s.as_ptr(), &mut sec, &mut nsec) } {
        -1 => Err(Error::logged(EINVAL, "parse_delay")),
        _ => Ok(Duration::new(sec.into(), nsec)),
    }
}

macro_rules! integers {
    ($($name:ident $type:ty, $function:ident;)*) => {
        $(
            /// A whole number of this type: decimal, hexadecimal after `0x`, octal after `0`.
            ///
            /// `what` is what the message calls it, such as the parameter's key.
            ///
            /// # Errors
            ///
            /// EINVAL, after a message, if it is none, or too large or too small.
            pub fn $name(what: &str, s: &str) -> Result<$type> {
                let mut number = 0;
                match unsafe { ffi::$function(to_c(what).as_ptr(), to_c(s).as_ptr(), &mut number) } {
                    -1 => Err(Error::logged(EINVAL, stringify!($name))),
                    _ => Ok(number),
                }
            }
        )*
    };
}

integers! {
    parse_int i32, nbdkit_parse_int;
    parse_unsigned u32, nbdkit_parse_unsigned;
    parse_i8 i8, nbdkit_parse_int8_t;
    parse_u8 u8, nbdkit_parse_uint8_t;
    parse_i16 i16, nbdkit_parse_int16_t;
    parse_u16 u16, nbdkit_parse_uint16_t;
    parse_i32 i32, nbdkit_parse_int32_t;
    parse_u32 u32, nbdkit_parse_uint32_t;
    parse_i64 i64, nbdkit_parse_int64_t;
    parse_u64 u64, nbdkit_parse_uint64_t;
}

/// A password that need not stand on the command line: the value itself, `-` for the terminal,
/// `-FD` for a file descriptor, `+FILE` for a file.
///
/// # Errors
///
/// It cannot be read, or the value has none of these forms. A message has said so.
pub fn read_password(value: &str) -> Result<String> {
    let mut password = ptr::null_mut();
    match unsafe { ffi::nbdkit_read_password(to_c(value).as_ptr(), &mut password) } {
        -1 => Err(Error::logged_by_system("read_password")),
        _ => owned(password, "read_password"),
    }
}

/// A path that stays right when the server goes to the background: with the working directory
/// before it, if it does not begin with a slash.
///
/// # Errors
///
/// The path is empty, or there is no working directory. A message has said so.
pub fn absolute_path(path: &str) -> Result<String> {
    owned(
        unsafe { ffi::nbdkit_absolute_path(to_c(path).as_ptr()) },
        "absolute_path",
    )
}

/// The same of a file that must exist, with all symbolic links followed.
///
/// # Errors
///
/// There is no such file. A message has said so.
pub fn realpath(path: &str) -> Result<String> {
    owned(
        unsafe { ffi::nbdkit_realpath(to_c(path).as_ptr()) },
        "realpath",
    )
}
