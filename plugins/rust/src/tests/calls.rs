// SPDX-License-Identifier: BSD-3-Clause
//! The table, and calls through it, as the server makes them.

use crate::errno::*;
use crate::ffi::{self, Plugin};
use crate::stand_ins::{take_errno, take_log};
use crate::*;
use std::ffi::CStr;
use std::os::raw::{c_char, c_void};
use std::panic;
use std::ptr;

/// A plugin that shows what it was called with; some values make it fail.
struct Shown(bool);

impl Drop for Shown {
    fn drop(&mut self) {
        debug!("dropped");
        if self.0 {
            panic!("from drop");
        }
    }
}

/// A payload that panics once more when it is dropped.
struct Grenade;

impl Drop for Grenade {
    fn drop(&mut self) {
        panic!("another");
    }
}

impl Server for Shown {
    fn name() -> &'static str {
        "shown"
    }

    fn version() -> Option<&'static str> {
        Some("7")
    }

    fn open(readonly: bool) -> Result<Box<dyn Server>> {
        Ok(Box::new(Shown(readonly)))
    }

    fn config(key: &str, value: &str) -> Result<()> {
        debug!("config {} {}", key, value);
        Ok(())
    }

    fn default_export(readonly: bool, is_tls: bool) -> Result<String> {
        Ok(format!("{} {}", readonly, is_tls))
    }

    fn list_exports(_: bool, is_tls: bool, exports: &mut ExportHandle) -> Result<()> {
        exports.add("listed", None)?;
        if is_tls {
            Err("not over TLS".into())
        } else {
            Ok(())
        }
    }

    fn load() {
        panic!("from load");
    }

    fn get_size(&self) -> Result<i64> {
        Ok(1 << 40)
    }

    fn can_fua(&self) -> Result<FuaFlags> {
        Ok(FuaFlags::Native)
    }

    fn can_trim(&self) -> Result<bool> {
        Ok(true)
    }

    fn block_size(&self) -> Result<BlockSize> {
        Ok(BlockSize {
            minimum: 1,
            preferred: 4096,
            maximum: u32::MAX,
        })
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        match offset {
            1 => panic!("a text"),
            2 => panic!("a {}", "String"),
            3 => panic::panic_any(7),
            4 => panic::panic_any(Grenade),
            5 => panic::resume_unwind(Box::new("resumed")),
            6 => return Err(Error::new(ENOSPC, "full")),
            7 => {
                set_error(EPERM);
                return Err("plain".into());
            }
            8 => {
                set_error(ENOSPC);
                panic!("after set_error");
            }
            _ => buf.fill(b'r'),
        }
        Ok(())
    }

    fn write_at(&self, buf: &[u8], offset: u64, flags: Flags) -> Result<()> {
        debug!("write {:?} {} {:?}", buf, offset, flags);
        Ok(())
    }

    fn zero(&self, _count: u32, _offset: u64, _flags: Flags) -> Result<()> {
        Err(Error::new(EOPNOTSUPP, ""))
    }

    fn extents(&self, count: u32, offset: u64, _: Flags, extents: &mut ExtentHandle) -> Result<()> {
        extents.add(offset, count.into(), ExtentType::Zero)
    }
}

plugin!(Shown {
    config,
    default_export,
    list_exports,
    load,
    can_fua,
    can_trim,
    block_size,
    write_at,
    zero,
    flush,
    extents,
    thread_model,
    version,
});

/// The table, as the server gets it.
fn table() -> &'static Plugin {
    unsafe { &*plugin_init() }
}

fn text(text: *const c_char) -> &'static str {
    unsafe { CStr::from_ptr(text) }.to_str().unwrap()
}

fn open() -> *mut c_void {
    let handle = unsafe { table().open.unwrap()(0) };
    assert!(!handle.is_null());
    handle
}

fn close(handle: *mut c_void) {
    unsafe { table().close.unwrap()(handle) };
}

/// Reads four bytes; the result, the errno, and the log.
fn read(offset: u64) -> (i32, i32, Vec<String>) {
    let handle = open();
    let mut buf = [0u8; 4];
    let read_at = table().pread.unwrap();
    take_errno();
    let result = unsafe { read_at(handle, buf.as_mut_ptr().cast(), 4, offset, 0) };
    let (errno, log) = (take_errno(), take_log());
    assert_eq!(result == 0, &buf == b"rrrr");
    close(handle);
    take_log();
    (result, errno, log)
}

#[test]
fn the_table_has_what_is_listed() {
    let table = table();
    assert_eq!(table.struct_size as usize, std::mem::size_of::<Plugin>());
    assert_eq!((table.api_version, table.own_thread_model), (2, 3));
    assert_eq!((text(table.name), text(table.version)), ("shown", "7"));
    assert!(table.longname.is_null() && table.magic_config_key.is_null());
    assert!(table.pwrite.is_some() && table.config.is_some() && table.can_trim.is_some());
    assert!(table.trim.is_none() && table.can_write.is_none() && table.unload.is_none());
    assert!(table.cache.is_none() && table.get_ready.is_none() && table.cleanup.is_none());
    assert_eq!(unsafe { table.thread_model.unwrap()() }, 3);
}

#[test]
fn calls_and_their_results() {
    let handle = open();
    let (mut least, mut best, mut most) = (0, 0, 0);
    unsafe {
        assert_eq!(table().get_size.unwrap()(handle), 1 << 40);
        assert_eq!(table().can_fua.unwrap()(handle), 2);
        assert_eq!(table().can_trim.unwrap()(handle), 1);
        assert_eq!(
            table().block_size.unwrap()(handle, &mut least, &mut best, &mut most),
            0
        );
        let buf = b"ab".as_ptr().cast();
        assert_eq!(
            table().pwrite.unwrap()(handle, buf, 2, 1 << 33, 2 | 1 << 20),
            0
        );
        assert_eq!(table().pwrite.unwrap()(handle, ptr::null(), 0, 3, 0), 0);
        assert_eq!(
            table().extents.unwrap()(handle, 9, 8, 4, ptr::null_mut()),
            0
        );
        assert_eq!(text(table().default_export.unwrap()(1, 0)), "true false");
    }
    assert_eq!((least, best, most), (1, 4096, u32::MAX));
    close(handle);
    assert_eq!(
        take_log(),
        [
            "debug: write [97, 98] 8589934592 FUA",
            "debug: write [] 3 (empty)",
            "extent: 8 9 2",
            "debug: dropped"
        ]
    );
}

#[test]
fn errors_reach_the_server() {
    assert_eq!(read(0), (0, 0, vec![]));
    assert_eq!(read(6), (-1, ENOSPC, vec!["error: full".to_string()]));
    assert_eq!(read(7), (-1, EPERM, vec!["error: plain".to_string()]));
    let handle = open();
    assert_eq!(unsafe { table().zero.unwrap()(handle, 1, 0, 0) }, -1);
    assert_eq!((take_errno(), take_log()), (EOPNOTSUPP, vec![]));
    close(handle);
    take_log();
    assert_eq!(
        unsafe { table().list_exports.unwrap()(0, 1, ptr::null_mut()) },
        -1
    );
    assert_eq!(take_log(), ["export: listed NULL", "error: not over TLS"]);
}

#[test]
fn a_listed_method_that_is_missing() {
    let handle = open();
    assert_eq!(unsafe { table().flush.unwrap()(handle, 0) }, -1);
    let log = take_log();
    assert_eq!(
        log,
        ["error: plugin! lists flush, but the plugin has no such method"]
    );
    assert_eq!(take_errno(), EOPNOTSUPP);
    close(handle);
}

#[test]
fn panics_end_here() {
    for (offset, message) in [
        (1, "a text"),
        (2, "a String"),
        (3, "it has a value that is no text"),
        (8, "after set_error"),
    ] {
        let (result, errno, log) = read(offset);
        assert_eq!((result, errno, log.len()), (-1, EIO, 1), "{:?}", log);
        assert!(
            log[0].starts_with("error: panic in read_at at src/tests/calls.rs:"),
            "{}",
            log[0]
        );
        assert!(log[0].ends_with(&format!(": {}", message)), "{}", log[0]);
    }
}

#[test]
fn panics_of_an_unusual_kind() {
    let (result, errno, log) = read(4);
    assert_eq!((result, errno, log.len()), (-1, EIO, 2), "{:?}", log);
    assert!(log[1].ends_with(": another"), "{}", log[1]);
    assert_eq!(
        read(5),
        (
            -1,
            EIO,
            vec!["error: panic in read_at: resumed".to_string()]
        )
    );
}

#[test]
fn panics_in_what_returns_nothing() {
    let table = table();
    unsafe { table.load.unwrap()() };
    let log = take_log();
    assert!(
        log.len() == 1 && log[0].ends_with(": from load"),
        "{:?}",
        log
    );
    let handle = unsafe { table.open.unwrap()(1) };
    close(handle);
    let log = take_log();
    assert!(
        log.len() == 2 && log[1].ends_with(": from drop"),
        "{:?}",
        log
    );
}

#[test]
fn panics_that_the_plugin_catches() {
    table();
    let result = panics::guard("here", 0, || {
        let _ = panic::catch_unwind(|| panic!("caught"));
        Ok(1)
    });
    let log = take_log();
    assert!(
        result == 1 && log.len() == 1 && log[0].ends_with(": caught"),
        "{:?}",
        log
    );
}

#[test]
fn panics_of_the_plugins_own_threads() {
    table();
    let named = std::thread::Builder::new().name("worker".to_string());
    let thread = named.spawn(|| {
        let _ = panic::catch_unwind(|| panic!("alone"));
        take_log()
    });
    let log = thread.unwrap().join().unwrap();
    assert!(
        log[0].starts_with("error: panic in the thread worker at src/"),
        "{:?}",
        log
    );
}

#[test]
fn parameters_that_are_not_utf8() {
    let config = table().config.unwrap();
    let call =
        |key: &[u8], value: &[u8]| unsafe { config(key.as_ptr().cast(), value.as_ptr().cast()) };
    assert_eq!(call(b"key\0", "\u{e9}\0".as_bytes()), 0);
    assert_eq!(take_log(), ["debug: config key \u{e9}"]);
    assert_eq!(call(b"key\0", b"\xff\0"), -1);
    assert_eq!(take_log(), ["error: the parameter is not UTF-8: \u{fffd}"]);
}

/// The type that `extents` gets is opaque, and never made in Rust.
#[test]
fn opaque_types_have_no_size() {
    assert_eq!(
        std::mem::size_of::<ffi::Extents>() + std::mem::size_of::<ffi::Exports>(),
        0
    );
}
