// SPDX-License-Identifier: BSD-3-Clause
//! The functions that the server calls: each turns C's arguments into those of a method of
//! `Server`, and its result into C's. The server guarantees what they rely on: that handles are
//! those that `open` has returned, and that buffers are as long as it says.
#![allow(missing_docs, clippy::missing_safety_doc)]

use crate::errno::EINVAL;
use crate::ffi;
use crate::message::to_c;
use crate::panics::guard;
use crate::{Error, ExportHandle, ExtentHandle, Flags, Result, Server};
use std::ffi::CStr;
use std::io::{self, Write};
use std::os::raw::{c_char, c_int, c_void};
use std::{ptr, slice};

type Handle = *mut c_void;

/// A trait object is two pointers, so the one that C keeps leads to a box with both.
type Kept = Box<dyn Server>;

unsafe fn server<'a>(handle: Handle) -> &'a dyn Server {
    &**handle.cast::<Kept>()
}

/// A parameter's key or value.
unsafe fn parameter<'a>(text: *const c_char) -> Result<&'a str> {
    let text = CStr::from_ptr(text);
    text.to_str().map_err(|_| {
        let shown = text.to_string_lossy();
        Error::new(EINVAL, format!("the parameter is not UTF-8: {}", shown))
    })
}

/// Runs what succeeds or fails, and nothing else.
fn act(method: &'static str, body: impl FnOnce() -> Result<()>) -> c_int {
    guard(method, -1, || body().map(|()| 0))
}

/// Runs what answers yes or no.
fn ask(method: &'static str, body: impl FnOnce() -> Result<bool>) -> c_int {
    guard(method, -1, || body().map(c_int::from))
}

/// Runs what returns a text, which the server keeps a copy of.
fn tell(method: &'static str, body: impl FnOnce() -> Result<String>) -> *const c_char {
    guard(method, ptr::null(), || {
        let text = to_c(&body()?);
        Ok(unsafe { ffi::nbdkit_strdup_intern(text.as_ptr()) })
    })
}

/* Of the plugin as a whole. */

macro_rules! events {
    ($($name:ident)*) => {
        $(pub unsafe extern "C" fn $name<S: Server>() {
            guard(stringify!($name), (), || {
                S::$name();
                Ok(())
            })
        })*
    };
}

macro_rules! phases {
    ($($name:ident)*) => {
        $(pub unsafe extern "C" fn $name<S: Server>() -> c_int {
            act(stringify!($name), S::$name)
        })*
    };
}

events! { load unload cleanup }
phases! { config_complete get_ready after_fork }

/// What was printed without a newline at its end would not get out by itself.
pub unsafe extern "C" fn dump_plugin<S: Server>() {
    guard("dump_plugin", (), || {
        S::dump_plugin();
        Ok(io::stdout().flush()?)
    })
}

pub unsafe extern "C" fn config<S: Server>(key: *const c_char, value: *const c_char) -> c_int {
    act("config", || S::config(parameter(key)?, parameter(value)?))
}

pub unsafe extern "C" fn thread_model<S: Server>() -> c_int {
    guard("thread_model", -1, || {
        S::thread_model().map(|model| model as c_int)
    })
}

pub unsafe extern "C" fn preconnect<S: Server>(readonly: c_int) -> c_int {
    act("preconnect", || S::preconnect(readonly != 0))
}

pub unsafe extern "C" fn list_exports<S: Server>(
    readonly: c_int,
    is_tls: c_int,
    exports: *mut ffi::Exports,
) -> c_int {
    act("list_exports", || {
        S::list_exports(readonly != 0, is_tls != 0, &mut ExportHandle::new(exports))
    })
}

pub unsafe extern "C" fn default_export<S: Server>(
    readonly: c_int,
    is_tls: c_int,
) -> *const c_char {
    tell("default_export", || {
        S::default_export(readonly != 0, is_tls != 0)
    })
}

/* Of a connection. */

pub unsafe extern "C" fn open<S: Server>(readonly: c_int) -> Handle {
    guard("open", ptr::null_mut(), || {
        let kept: Kept = S::open(readonly != 0)?;
        Ok(Box::into_raw(Box::new(kept)).cast())
    })
}

pub unsafe extern "C" fn close(handle: Handle) {
    guard("close", (), || {
        drop(Box::from_raw(handle.cast::<Kept>()));
        Ok(())
    })
}

pub unsafe extern "C" fn get_size(handle: Handle) -> i64 {
    guard("get_size", -1, || server(handle).get_size())
}

pub unsafe extern "C" fn export_description(handle: Handle) -> *const c_char {
    tell("export_description", || server(handle).export_description())
}

pub unsafe extern "C" fn block_size(
    handle: Handle,
    minimum: *mut u32,
    preferred: *mut u32,
    maximum: *mut u32,
) -> c_int {
    act("block_size", || {
        let sizes = server(handle).block_size()?;
        *minimum = sizes.minimum;
        *preferred = sizes.preferred;
        *maximum = sizes.maximum;
        Ok(())
    })
}

macro_rules! questions {
    ($($name:ident)*) => {
        $(pub unsafe extern "C" fn $name(handle: Handle) -> c_int {
            ask(stringify!($name), || server(handle).$name())
        })*
    };
}

questions! {
    can_write can_flush is_rotational can_trim can_zero can_multi_conn can_extents can_fast_zero
}

pub unsafe extern "C" fn can_fua(handle: Handle) -> c_int {
    guard("can_fua", -1, || {
        server(handle).can_fua().map(|way| way as c_int)
    })
}

pub unsafe extern "C" fn can_cache(handle: Handle) -> c_int {
    guard("can_cache", -1, || {
        server(handle).can_cache().map(|way| way as c_int)
    })
}

/* Requests. */

pub unsafe extern "C" fn read_at(
    handle: Handle,
    buf: *mut c_void,
    count: u32,
    offset: u64,
    _flags: u32,
) -> c_int {
    act("read_at", || {
        let buf = match count {
            0 => &mut [],
            _ => slice::from_raw_parts_mut(buf.cast::<u8>(), count as usize),
        };
        server(handle).read_at(buf, offset)
    })
}

pub unsafe extern "C" fn write_at(
    handle: Handle,
    buf: *const c_void,
    count: u32,
    offset: u64,
    flags: u32,
) -> c_int {
    act("write_at", || {
        let buf = match count {
            0 => &[],
            _ => slice::from_raw_parts(buf.cast::<u8>(), count as usize),
        };
        server(handle).write_at(buf, offset, Flags::from_bits_truncate(flags))
    })
}

pub unsafe extern "C" fn flush(handle: Handle, _flags: u32) -> c_int {
    act("flush", || server(handle).flush())
}

pub unsafe extern "C" fn trim(handle: Handle, count: u32, offset: u64, flags: u32) -> c_int {
    act("trim", || {
        server(handle).trim(count, offset, Flags::from_bits_truncate(flags))
    })
}

pub unsafe extern "C" fn zero(handle: Handle, count: u32, offset: u64, flags: u32) -> c_int {
    act("zero", || {
        server(handle).zero(count, offset, Flags::from_bits_truncate(flags))
    })
}

pub unsafe extern "C" fn cache(handle: Handle, count: u32, offset: u64, _flags: u32) -> c_int {
    act("cache", || server(handle).cache(count, offset))
}

pub unsafe extern "C" fn extents(
    handle: Handle,
    count: u32,
    offset: u64,
    flags: u32,
    list: *mut ffi::Extents,
) -> c_int {
    act("extents", || {
        let flags = Flags::from_bits_truncate(flags);
        server(handle).extents(count, offset, flags, &mut ExtentHandle::new(list))
    })
}
