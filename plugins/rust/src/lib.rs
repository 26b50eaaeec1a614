// SPDX-License-Identifier: BSD-3-Clause
//! Disks in Rust, for nbdlab and for nbdkit.
//!
//! A plugin is a shared library that the server loads, and that says what a disk consists of.
//! Implement [`Server`] for a type of yours, register the type with [`plugin!`], and build a
//! `cdylib`:
//!
//! ```toml
//! [lib]
//! crate-type = ["cdylib"]
//!
//! [dependencies]
//! nbdkit = { path = "/usr/local/share/nbdlab/rust" }
//! ```
//!
//! This is a whole plugin. Its disk has 1 MiB of the letter `x`:
//!
//! ```no_run
//! use nbdkit::*;
//!
//! struct Letters;
//!
//! impl Server for Letters {
//!     fn name() -> &'static str {
//!         "letters"
//!     }
//!
//!     fn open(_readonly: bool) -> Result<Box<dyn Server>> {
//!         Ok(Box::new(Letters))
//!     }
//!
//!     fn get_size(&self) -> Result<i64> {
//!         Ok(1 << 20)
//!     }
//!
//!     fn read_at(&self, buf: &mut [u8], _offset: u64) -> Result<()> {
//!         buf.fill(b'x');
//!         Ok(())
//!     }
//! }
//!
//! plugin!(Letters {});
//! # fn main() {}
//! ```
//!
//! # Errors
//!
//! A method that fails returns an [`Error`]. Its message goes to the server's log, its errno to
//! the client; without an errno the client gets EIO. An `io::Error` and several others become an
//! `Error` by themselves, with the `?` operator.
//!
//! # Panics
//!
//! A panic never leaves the plugin. The server logs it once, with its message and its place in the
//! source; the client gets EIO, and the server goes on. With `RUST_BACKTRACE=1` in the environment
//! the standard library prints its own report too, to standard error. A plugin that is built with
//! `panic = "abort"` takes the server down with it, after the message.
//!
//! # Threads
//!
//! Unless [`Server::thread_model`] says otherwise, the server calls a plugin from several threads
//! at once, and even one handle. The trait has no bounds, so the compiler does not ask whether
//! your type is `Send` and `Sync`. It has to be: keep what changes in a `Mutex` or in atomics, or
//! choose [`ThreadModel::SerializeAllRequests`].
#![deny(missing_docs)]
#![warn(rust_2018_idioms)]

#[cfg(any(target_arch = "mips", target_arch = "mips64", target_arch = "sparc64"))]
compile_error!("src/errno.rs has the numbers that Linux uses on other processors");

pub mod errno;

mod error;
mod exports;
mod extents;
mod flags;
mod functions;
mod message;
mod panics;
mod parse;
mod peer;
mod register;
mod server;

#[doc(hidden)]
pub mod callbacks;
#[doc(hidden)]
pub mod ffi;
#[doc(hidden)]
pub use message::{write_debug, write_error};
#[doc(hidden)]
pub use register::register;

pub use error::{Error, Result};
pub use exports::ExportHandle;
pub use extents::{ExtentHandle, ExtentType};
pub use flags::{CacheFlags, Flags, FuaFlags, ThreadModel};
pub use functions::*;
pub use parse::*;
pub use peer::*;
pub use server::{BlockSize, Server};

#[cfg(test)]
mod stand_ins;
#[cfg(test)]
mod tests;
