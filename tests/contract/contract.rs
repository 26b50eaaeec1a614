// SPDX-License-Identifier: BSD-3-Clause
//! The disk of README.md, in Rust.

use nbdkit::*;
use std::env;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::sync::{Mutex, RwLock};

const DISK_BYTES: usize = 1 << 20;
const TOLD_OFFSET: u64 = 64 << 10;
const GATE_OFFSET: u64 = 128 << 10;
const ERRNO_OFFSET: u64 = 256 << 10;
const ERRNO_MAX: u64 = 133;
const HOLE_OFFSET: u64 = 512 << 10;
const ZERO_OFFSET: u64 = 768 << 10;

static LOG: Mutex<Option<File>> = Mutex::new(None);
static DISK: RwLock<Vec<u8>> = RwLock::new(Vec::new());

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

/// One line, by one write(2).
fn note(line: &str) {
    if let Some(log) = &mut *LOG.lock().unwrap() {
        log.write_all(format!("{}\n", line.trim_end()).as_bytes())
            .unwrap();
    }
}

/// One callback that runs: its name, its connection's export, and where the request begins.
struct Step<'a> {
    method: &'a str,
    export: Option<&'a str>,
    offset: u64,
}

impl Step<'_> {
    /// Is this the callback that is told to do something, and this?
    fn is_told(&self, action: &str) -> bool {
        variable("CONTRACT_WHEN") == self.method
            && variable("CONTRACT_DO") == action
            && self.export.map_or(true, |name| name == "told")
            && self.offset == TOLD_OFFSET
    }

    /// Ends a callback whose work is done.
    fn finish(&self) -> Result<()> {
        if self.is_told("fail") {
            panic!("told to fail");
        }
        let is_shutdown = self.is_told("shutdown");
        let (is_soft, is_forced) = (self.is_told("soft"), self.is_told("forced"));
        if is_shutdown {
            shutdown();
        }
        if is_soft || is_forced {
            disconnect(is_forced);
        }
        if (is_shutdown || is_soft || is_forced) && variable("CONTRACT_RESULT") == "fail" {
            return Err(Error::new(errno::ENOSPC, "told to fail"));
        }
        note(&format!("end {}", self.method));
        Ok(())
    }
}

/// A callback without a connection.
fn serve(method: &str, arguments: &str) -> Result<()> {
    note(&format!("begin {} {}", method, arguments));
    Step {
        method,
        export: None,
        offset: TOLD_OFFSET,
    }
    .finish()
}

/// The same, of one that returns nothing.
fn serve_event(method: &str) {
    if let Err(error) = serve(method, "") {
        error!("{}", error);
    }
}

/// The places where requests fail with an errno.
fn errno_at(offset: u64) -> Option<i32> {
    let number = offset.checked_sub(ERRNO_OFFSET)? / 512;
    let is_place = offset % 512 == 0 && (1..=ERRNO_MAX).contains(&number);
    is_place.then(|| number as i32)
}

/// Fails there in the second way: by `set_error`, and with an error that has no errno.
fn check_errno(offset: u64) -> Result<()> {
    match errno_at(offset) {
        Some(number) => {
            set_error(number);
            Err(format!("told errno {}", number).into())
        }
        None => Ok(()),
    }
}

fn wait_at_gate() {
    let mut gate = File::open(variable("CONTRACT_GATE")).unwrap();
    let mut byte = [0];
    while byte != *b"\n" {
        gate.read_exact(&mut byte).unwrap();
    }
}

fn range(count: usize, offset: u64) -> std::ops::Range<usize> {
    offset as usize..offset as usize + count
}

/// A connection, by the name of its export.
struct Contract(String);

impl Contract {
    fn step<'a>(&'a self, method: &'a str, offset: u64) -> Step<'a> {
        Step {
            method,
            export: Some(&self.0),
            offset,
        }
    }

    /// A callback that is no request for a range.
    fn serve(&self, method: &str) -> Result<()> {
        note(&format!("begin {} {}", method, self.0));
        self.step(method, TOLD_OFFSET).finish()
    }

    fn begin<'a>(&'a self, method: &'a str, count: usize, offset: u64, flags: Flags) -> Step<'a> {
        let names = [
            (Flags::FUA, "fua"),
            (Flags::MAY_TRIM, "may_trim"),
            (Flags::FAST_ZERO, "fast"),
            (Flags::REQ_ONE, "req_one"),
        ];
        let set: Vec<_> = names
            .iter()
            .filter(|(flag, _)| flags.contains(*flag))
            .collect();
        let text: Vec<_> = set.iter().map(|(_, name)| *name).collect();
        note(&format!(
            "begin {} {} {} {} {}",
            method,
            self.0,
            count,
            offset,
            text.join(",")
        ));
        self.step(method, offset)
    }

    /// Trim and zero.
    fn clear(&self, method: &str, count: u32, offset: u64, flags: Flags) -> Result<()> {
        let step = self.begin(method, count as usize, offset, flags);
        check_errno(offset)?;
        if flags.contains(Flags::FAST_ZERO) && offset >= ZERO_OFFSET {
            return Err(Error::new(errno::EOPNOTSUPP, ""));
        }
        DISK.write()?[range(count as usize, offset)].fill(0);
        step.finish()
    }
}

impl Drop for Contract {
    fn drop(&mut self) {
        if let Err(error) = self.serve("close") {
            error!("{}", error);
        }
    }
}

impl Server for Contract {
    fn name() -> &'static str {
        "contract"
    }

    fn magic_config_key() -> Option<&'static str> {
        Some("word")
    }

    fn load() {
        *DISK.write().unwrap() = vec![0; DISK_BYTES];
        let path = variable("CONTRACT_LOG");
        if !path.is_empty() {
            let log = OpenOptions::new().append(true).create(true).open(path);
            *LOG.lock().unwrap() = Some(log.unwrap());
        }
        serve_event("load");
    }

    fn unload() {
        serve_event("unload");
    }

    fn config(key: &str, value: &str) -> Result<()> {
        if key != "word" && key != "other" {
            return Err(Error::new(
                errno::EINVAL,
                format!("unknown parameter {}", key),
            ));
        }
        serve("config", &format!("{} {}", key, value))
    }

    fn config_complete() -> Result<()> {
        serve("config_complete", "")
    }

    fn thread_model() -> Result<ThreadModel> {
        serve("thread_model", "")?;
        Ok(ThreadModel::Parallel)
    }

    fn get_ready() -> Result<()> {
        serve("get_ready", "")
    }

    fn after_fork() -> Result<()> {
        serve("after_fork", "")
    }

    fn cleanup() {
        serve_event("cleanup");
    }

    fn preconnect(readonly: bool) -> Result<()> {
        serve("preconnect", &readonly.to_string())
    }

    fn list_exports(readonly: bool, is_tls: bool, exports: &mut ExportHandle) -> Result<()> {
        serve("list_exports", &format!("{} {}", readonly, is_tls))?;
        exports.add("plain", None)?;
        exports.add("told", Some("does what it is told"))
    }

    fn default_export(readonly: bool, is_tls: bool) -> Result<String> {
        serve("default_export", &format!("{} {}", readonly, is_tls))?;
        Ok("plain".to_string())
    }

    fn open(readonly: bool) -> Result<Box<dyn Server>> {
        let export = export_name()?;
        note(&format!("begin open {} {}", export, readonly));
        Step {
            method: "open",
            export: Some(&export),
            offset: TOLD_OFFSET,
        }
        .finish()?;
        Ok(Box::new(Contract(export)))
    }

    fn get_size(&self) -> Result<i64> {
        self.serve("get_size")?;
        let is_wrong = self.step("get_size", TOLD_OFFSET).is_told("wrong");
        Ok(if is_wrong { -5 } else { DISK_BYTES as i64 })
    }

    fn export_description(&self) -> Result<String> {
        self.serve("export_description")?;
        Ok(format!("the export {}", self.0))
    }

    fn block_size(&self) -> Result<BlockSize> {
        self.serve("block_size")?;
        let is_wrong = self.step("block_size", TOLD_OFFSET).is_told("wrong");
        let minimum = if is_wrong { 3 } else { 1 };
        Ok(BlockSize {
            minimum,
            preferred: 4096,
            maximum: DISK_BYTES as u32,
        })
    }

    fn can_write(&self) -> Result<bool> {
        self.serve("can_write").map(|()| true)
    }

    fn can_flush(&self) -> Result<bool> {
        self.serve("can_flush").map(|()| true)
    }

    fn can_trim(&self) -> Result<bool> {
        self.serve("can_trim").map(|()| true)
    }

    fn can_zero(&self) -> Result<bool> {
        self.serve("can_zero").map(|()| true)
    }

    fn can_fast_zero(&self) -> Result<bool> {
        self.serve("can_fast_zero").map(|()| true)
    }

    fn can_extents(&self) -> Result<bool> {
        self.serve("can_extents").map(|()| true)
    }

    fn can_multi_conn(&self) -> Result<bool> {
        self.serve("can_multi_conn").map(|()| true)
    }

    fn is_rotational(&self) -> Result<bool> {
        self.serve("is_rotational").map(|()| true)
    }

    fn can_fua(&self) -> Result<FuaFlags> {
        self.serve("can_fua").map(|()| FuaFlags::Native)
    }

    fn can_cache(&self) -> Result<CacheFlags> {
        self.serve("can_cache").map(|()| CacheFlags::Native)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let step = self.begin("pread", buf.len(), offset, Flags::empty());
        if offset == GATE_OFFSET {
            wait_at_gate();
        }
        if let Some(number) = errno_at(offset) {
            return Err(Error::new(number, format!("told errno {}", number)));
        }
        if step.is_told("wrong") {
            return Err("a short read".into());
        }
        buf.copy_from_slice(&DISK.read()?[range(buf.len(), offset)]);
        step.finish()
    }

    fn write_at(&self, buf: &[u8], offset: u64, flags: Flags) -> Result<()> {
        let step = self.begin("pwrite", buf.len(), offset, flags);
        check_errno(offset)?;
        DISK.write()?[range(buf.len(), offset)].copy_from_slice(buf);
        step.finish()
    }

    fn flush(&self) -> Result<()> {
        self.serve("flush")
    }

    fn trim(&self, count: u32, offset: u64, flags: Flags) -> Result<()> {
        self.clear("trim", count, offset, flags)
    }

    fn zero(&self, count: u32, offset: u64, flags: Flags) -> Result<()> {
        self.clear("zero", count, offset, flags)
    }

    fn cache(&self, count: u32, offset: u64) -> Result<()> {
        let step = self.begin("cache", count as usize, offset, Flags::empty());
        check_errno(offset)?;
        step.finish()
    }

    fn extents(
        &self,
        count: u32,
        offset: u64,
        flags: Flags,
        extent_handle: &mut ExtentHandle,
    ) -> Result<()> {
        let step = self.begin("extents", count as usize, offset, flags);
        if step.is_told("wrong") {
            return extent_handle.add(offset + 512, 512, ExtentType::Allocated);
        }
        extent_handle.add(0, HOLE_OFFSET, ExtentType::Allocated)?;
        extent_handle.add(HOLE_OFFSET, ZERO_OFFSET - HOLE_OFFSET, ExtentType::HoleZero)?;
        extent_handle.add(
            ZERO_OFFSET,
            DISK_BYTES as u64 - ZERO_OFFSET,
            ExtentType::Zero,
        )?;
        step.finish()
    }
}

plugin!(Contract {
    load,
    unload,
    config,
    config_complete,
    thread_model,
    get_ready,
    after_fork,
    cleanup,
    preconnect,
    list_exports,
    default_export,
    export_description,
    block_size,
    can_write,
    can_flush,
    can_trim,
    can_zero,
    can_fast_zero,
    can_extents,
    can_multi_conn,
    is_rotational,
    can_fua,
    can_cache,
    write_at,
    flush,
    trim,
    zero,
    cache,
    extents,
});
