// SPDX-License-Identifier: BSD-3-Clause
//! A disk in memory, which all clients share.
//!
//!     nbdlab target/release/examples/libramdisk.so size=64M

use nbdkit::*;
use std::sync::{Mutex, RwLock};

/// What the parameter said. The functions without `self` have nowhere else to keep it.
static SIZE: Mutex<Option<i64>> = Mutex::new(None);

/// The disk. Many may read it at once, and one may write it: the server calls from many threads.
static DISK: RwLock<Vec<u8>> = RwLock::new(Vec::new());

/// One client's connection. It keeps nothing, because the disk is not a client's own.
struct RamDisk;

/// The bytes of a request. The server has made sure that they are within the disk.
fn range(count: usize, offset: u64) -> std::ops::Range<usize> {
    offset as usize..offset as usize + count
}

impl Server for RamDisk {
    fn name() -> &'static str {
        "ramdisk"
    }

    fn config_help() -> Option<&'static str> {
        Some("size=<SIZE>     (required) The size of the disk.")
    }

    // With this, `nbdlab libramdisk.so 64M` works too.
    fn magic_config_key() -> Option<&'static str> {
        Some("size")
    }

    fn config(key: &str, value: &str) -> Result<()> {
        if key != "size" {
            return Err(Error::new(
                errno::EINVAL,
                format!("unknown parameter {}", key),
            ));
        }
        *SIZE.lock()? = Some(parse_size(value)?);
        Ok(())
    }

    fn config_complete() -> Result<()> {
        if SIZE.lock()?.is_none() {
            return Err(Error::new(errno::EINVAL, "the parameter size is missing"));
        }
        Ok(())
    }

    fn get_ready() -> Result<()> {
        let size = SIZE.lock()?.unwrap_or(0);
        *DISK.write()? = vec![0; size as usize];
        Ok(())
    }

    fn open(_readonly: bool) -> Result<Box<dyn Server>> {
        debug!("a client wants the export '{}'", export_name()?);
        Ok(Box::new(RamDisk))
    }

    fn get_size(&self) -> Result<i64> {
        Ok(DISK.read()?.len() as i64)
    }

    // All see the same memory, so a client may use several connections.
    fn can_multi_conn(&self) -> Result<bool> {
        Ok(true)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        buf.copy_from_slice(&DISK.read()?[range(buf.len(), offset)]);
        Ok(())
    }

    fn write_at(&self, buf: &[u8], offset: u64, _flags: Flags) -> Result<()> {
        DISK.write()?[range(buf.len(), offset)].copy_from_slice(buf);
        Ok(())
    }

    fn zero(&self, count: u32, offset: u64, _flags: Flags) -> Result<()> {
        DISK.write()?[range(count as usize, offset)].fill(0);
        Ok(())
    }

    // Memory keeps nothing back.
    fn flush(&self) -> Result<()> {
        Ok(())
    }
}

// The optional methods that the server may call.
plugin!(RamDisk {
    config,
    config_complete,
    get_ready,
    can_multi_conn,
    write_at,
    zero,
    flush
});
