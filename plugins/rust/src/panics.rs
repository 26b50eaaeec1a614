// SPDX-License-Identifier: BSD-3-Clause
//! The border to C: every callback runs in `guard`, which no panic leaves.
//!
//! The hook logs a panic where it happens, because its place is known there only, and because it
//! runs even if the plugin was built to abort. `guard` then does not log it again.

use crate::errno::EIO;
use crate::message::write_error;
use crate::{ffi, Result};
use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;
use std::{env, mem, thread};

thread_local! {
    /// The method that the thread is in.
    static METHOD: Cell<Option<&'static str>> = const { Cell::new(None) };
    /// The hook has logged a panic of that method.
    static IS_LOGGED: Cell<bool> = const { Cell::new(false) };
}

/// What a panic says for itself.
fn message_of(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("it has a value that is no text")
}

/// Where the thread is, for people.
fn whereabouts() -> String {
    let current = thread::current();
    match (METHOD.with(Cell::get), current.name()) {
        (Some(method), _) => method.to_owned(),
        (None, Some(name)) => format!("the thread {}", name),
        (None, None) => "a thread of the plugin's".to_owned(),
    }
}

fn is_backtrace_wanted() -> bool {
    env::var_os("RUST_BACKTRACE").map_or(false, |value| value != "0")
}

/// Has panics logged by the server from now on, in all threads.
pub(crate) fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(set_hook);
}

fn set_hook() {
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let message = message_of(info.payload());
        match info.location() {
            Some(place) => write_error(format_args!(
                "panic in {} at {}: {}",
                whereabouts(),
                place,
                message
            )),
            None => write_error(format_args!("panic in {}: {}", whereabouts(), message)),
        }
        IS_LOGGED.with(|flag| flag.set(true));
        if is_backtrace_wanted() {
            previous(info);
        }
    }));
}

/// Drops what a panic has left; it may be of a type that panics again.
fn discard(payload: Box<dyn Any + Send>) {
    if let Err(another) = panic::catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        mem::forget(another);
    }
}

/// Runs a method of the plugin's for the server. What it fails with is reported, and `failed` is
/// returned.
pub(crate) fn guard<T>(method: &'static str, failed: T, body: impl FnOnce() -> Result<T>) -> T {
    let outer = METHOD.with(|current| current.replace(Some(method)));
    IS_LOGGED.with(|flag| flag.set(false));
    // The message of an error is the plugin's code too.
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
        body().map_err(|error| error.report()).ok()
    }));
    let result = match outcome {
        Ok(Some(result)) => result,
        Ok(None) => failed,
        Err(payload) => {
            if !IS_LOGGED.with(Cell::get) {
                write_error(format_args!(
                    "panic in {}: {}",
                    method,
                    message_of(&*payload)
                ));
            }
            discard(payload);
            unsafe { ffi::nbdkit_set_error(EIO) };
            failed
        }
    };
    METHOD.with(|current| current.set(outer));
    result
}
