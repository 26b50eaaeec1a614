// SPDX-License-Identifier: BSD-3-Clause
//! Calls the functions of the crate. Each parameter is a function and its argument; its result
//! becomes a line of the disk, and what the connection's functions say follows. A read of an export
//! whose name begins with `panic-` panics in the way of the name's rest.

use nbdkit::*;
use std::fmt::Debug;
use std::net::SocketAddr;
use std::panic;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

static TEXT: Mutex<String> = Mutex::new(String::new());

/// `NAME=RESULT`, or `NAME!ERRNO`.
fn line<T: Debug>(name: &str, result: Result<T>) -> String {
    match result {
        Ok(value) => format!("{}={:?}\n", name, value),
        Err(error) => format!("{}!{}\n", name, error.errno()),
    }
}

/// The line of the function that a parameter names.
fn call(key: &str, value: &str) -> Result<String> {
    Ok(match key {
        "size" => line(key, parse_size(value)),
        "bool" => line(key, parse_bool(value)),
        "probability" => line(key, parse_probability(key, value)),
        "delay" => line(key, parse_delay(key, value)),
        "int" => line(key, parse_int(key, value)),
        "unsigned" => line(key, parse_unsigned(key, value)),
        "i8" => line(key, parse_i8(key, value)),
        "u8" => line(key, parse_u8(key, value)),
        "i16" => line(key, parse_i16(key, value)),
        "u16" => line(key, parse_u16(key, value)),
        "i32" => line(key, parse_i32(key, value)),
        "u32" => line(key, parse_u32(key, value)),
        "i64" => line(key, parse_i64(key, value)),
        "u64" => line(key, parse_u64(key, value)),
        "password" => line(key, read_password(value)),
        "absolute" => line(key, absolute_path(value)),
        "real" => line(key, realpath(value)),
        "stdio" => line(key, Ok((is_stdio_safe(), stdio_safe()))),
        "name" => line(key, Ok(server_name())),
        "export" => line(key, Ok(export_name()?)),
        "none" => return Err(Error::new(errno::EINVAL, "a parameter called none")),
        other => return Err(format!("unknown parameter {}", other).into()),
    })
}

/// What the functions about the client say.
fn client() -> Result<String> {
    Ok([
        line("export_name", Ok(export_name()?)),
        line("is_tls", is_tls()),
        line("peer_name", peer_name()),
        line("peername", Ok(peername::<SocketAddr>().is_ok())),
        line("peer_pid", peer_pid()),
        line("peer_uid", peer_uid()),
        line("peer_gid", peer_gid()),
        line("timestamp", Ok(timestamp().len())),
        line("stop_fd", Ok(stop_fd() > 2)),
    ]
    .concat())
}

struct Rusty {
    text: String,
}

impl Server for Rusty {
    fn name() -> &'static str {
        "rusty"
    }

    fn longname() -> Option<&'static str> {
        Some("the crate's functions")
    }

    fn version() -> Option<&'static str> {
        Some("1.2")
    }

    fn description() -> Option<&'static str> {
        Some("a plugin\nfor tests")
    }

    fn config_help() -> Option<&'static str> {
        Some("size=<SIZE>     And many more.")
    }

    fn dump_plugin() {
        println!("rusty=yes");
        print!("rusty_tail=without a newline");
    }

    fn config(key: &str, value: &str) -> Result<()> {
        TEXT.lock()?.push_str(&call(key, value)?);
        Ok(())
    }

    fn open(_readonly: bool) -> Result<Box<dyn Server>> {
        let text = format!("{}{}", TEXT.lock()?, client()?);
        debug!("the export {:?} has {} bytes", export_name()?, text.len());
        debug_hexdump(b"dump", "hex: ", 0);
        debug_hexdiff(b"one", b"two", "diff: ", 0);
        Ok(Box::new(Rusty { text }))
    }

    fn get_size(&self) -> Result<i64> {
        Ok(self.text.len() as i64)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        match export_name()?.as_str() {
            "panic-str" => panic!("a plain text"),
            "panic-string" => panic!("made of {}", "parts"),
            "panic-lines" => panic!("two\nlines, 100% %s"),
            "panic-any" => panic::panic_any(7u8),
            "panic-resumed" => panic::resume_unwind(Box::new("gone on")),
            "panic-bounds" => buf.copy_from_slice(&self.text.as_bytes()[self.text.len()..]),
            "panic-unwrap" => drop("x".parse::<u8>().unwrap()),
            "panic-thread" => {
                let thread = thread::Builder::new().name("mine".into());
                let result = thread.spawn(|| panic!("alone"))?.join();
                return result.map_err(|_| Error::new(errno::EPERM, "the thread has panicked"));
            }
            "sleep" => {
                let start = Instant::now();
                nanosleep(Duration::from_millis(20))?;
                assert!(start.elapsed() >= Duration::from_millis(20));
            }
            "sleep-long" => nanosleep(Duration::from_secs(3600))?,
            _ => {}
        }
        let offset = offset as usize;
        buf.copy_from_slice(&self.text.as_bytes()[offset..offset + buf.len()]);
        Ok(())
    }
}

plugin!(Rusty {
    config,
    dump_plugin
});
