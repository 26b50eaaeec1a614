// SPDX-License-Identifier: BSD-3-Clause
//! The table of callbacks that the server gets, and the macro that exports it.

use crate::ffi::{self, Plugin};
use crate::message::to_c;
use crate::panics::{guard, install_hook};
use crate::{callbacks, Server, ThreadModel};
use std::mem::size_of;
use std::os::raw::{c_char, c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// A text that is there as long as the plugin is.
fn keep(text: Option<&'static str>) -> *const c_char {
    text.map_or(ptr::null(), |text| to_c(text).into_raw())
}

/// What every plugin's table has.
fn make_table<S: Server>() -> Plugin {
    Plugin {
        struct_size: size_of::<Plugin>() as u64,
        api_version: 2,
        own_thread_model: ThreadModel::Parallel as c_int,
        name: keep(Some(S::name())),
        longname: keep(S::longname()),
        version: keep(S::version()),
        description: keep(S::description()),
        config_help: keep(S::config_help()),
        magic_config_key: keep(S::magic_config_key()),
        thread_model: Some(callbacks::thread_model::<S>),
        open: Some(callbacks::open::<S>),
        close: Some(callbacks::close),
        get_size: Some(callbacks::get_size),
        pread: Some(callbacks::read_at),
        ..Plugin::empty()
    }
}

/// Keeps the plugin in memory for good, although the server unloads it at its end. What statics
/// have is never freed in Rust, and without them it would count as lost.
fn pin() {
    const NOW_NOLOAD_NODELETE: c_int = 0x2 | 0x4 | 0x1000;
    let mut found = ffi::FoundSymbol {
        file: ptr::null(),
        base: ptr::null_mut(),
        name: ptr::null(),
        address: ptr::null_mut(),
    };
    unsafe {
        if ffi::dladdr(pin as *const c_void, &mut found) != 0 {
            ffi::dlopen(found.file, NOW_NOLOAD_NODELETE);
        }
    }
}

/// Does the work of `plugin_init`, which the server calls once. The table is never freed, because
/// the server uses its texts.
#[doc(hidden)]
pub fn register<S: Server>(add_listed: fn(&mut Plugin)) -> *const Plugin {
    static TABLE: AtomicPtr<Plugin> = AtomicPtr::new(ptr::null_mut());
    install_hook();
    pin();
    guard("plugin_init", ptr::null(), || {
        let mut table = Box::new(make_table::<S>());
        add_listed(&mut table);
        TABLE.store(Box::into_raw(table), Ordering::Release);
        Ok(TABLE.load(Ordering::Acquire) as *const Plugin)
    })
}

/// Makes a plugin of a type that implements [`Server`](crate::Server): exports the function that
/// the server looks for.
///
/// The braces have the names of those optional methods that the type implements, with commas
/// between them. One that is not listed is not called. A plugin has this once.
///
/// ```no_run
/// use nbdkit::*;
///
/// struct Null;
///
/// impl Server for Null {
///     fn name() -> &'static str {
///         "null"
///     }
///
///     fn open(_readonly: bool) -> Result<Box<dyn Server>> {
///         Ok(Box::new(Null))
///     }
///
///     fn get_size(&self) -> Result<i64> {
///         Ok(1 << 30)
///     }
///
///     fn read_at(&self, buf: &mut [u8], _offset: u64) -> Result<()> {
///         buf.fill(0);
///         Ok(())
///     }
///
///     fn write_at(&self, _buf: &[u8], _offset: u64, _flags: Flags) -> Result<()> {
///         Ok(())
///     }
/// }
///
/// plugin!(Null { write_at });
/// # fn main() {}
/// ```
///
/// A name that is no optional method does not compile:
///
/// ```compile_fail
/// # use nbdkit::*;
/// # struct Null;
/// # impl Server for Null {
/// #     fn name() -> &'static str { "null" }
/// #     fn open(_readonly: bool) -> Result<Box<dyn Server>> { Ok(Box::new(Null)) }
/// #     fn get_size(&self) -> Result<i64> { Ok(0) }
/// #     fn read_at(&self, buf: &mut [u8], _offset: u64) -> Result<()> { Ok(()) }
/// # }
/// plugin!(Null { pwrite });
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! plugin {
    ($server:path { $($method:ident),* $(,)? }) => {
        /// What the server looks for in a plugin.
        #[no_mangle]
        pub extern "C" fn plugin_init() -> *const $crate::ffi::Plugin {
            #[allow(unused_variables)]
            fn add_listed(table: &mut $crate::ffi::Plugin) {
                $($crate::__add_to_table!(table, $server, $method);)*
            }
            $crate::register::<$server>(add_listed)
        }
    };
}

/// Puts one method into the table.
#[doc(hidden)]
#[macro_export]
macro_rules! __add_to_table {
    (@static $table:ident, $server:path, $method:ident) => {
        $table.$method = ::std::option::Option::Some($crate::callbacks::$method::<$server>)
    };
    (@own $table:ident, $method:ident) => {
        $table.$method = ::std::option::Option::Some($crate::callbacks::$method)
    };
    ($t:ident, $s:path, load) => { $crate::__add_to_table!(@static $t, $s, load) };
    ($t:ident, $s:path, unload) => { $crate::__add_to_table!(@static $t, $s, unload) };
    ($t:ident, $s:path, dump_plugin) => { $crate::__add_to_table!(@static $t, $s, dump_plugin) };
    ($t:ident, $s:path, config) => { $crate::__add_to_table!(@static $t, $s, config) };
    ($t:ident, $s:path, config_complete) => {
        $crate::__add_to_table!(@static $t, $s, config_complete)
    };
    ($t:ident, $s:path, get_ready) => { $crate::__add_to_table!(@static $t, $s, get_ready) };
    ($t:ident, $s:path, after_fork) => { $crate::__add_to_table!(@static $t, $s, after_fork) };
    ($t:ident, $s:path, cleanup) => { $crate::__add_to_table!(@static $t, $s, cleanup) };
    ($t:ident, $s:path, preconnect) => { $crate::__add_to_table!(@static $t, $s, preconnect) };
    ($t:ident, $s:path, list_exports) => { $crate::__add_to_table!(@static $t, $s, list_exports) };
    ($t:ident, $s:path, default_export) => {
        $crate::__add_to_table!(@static $t, $s, default_export)
    };
    ($t:ident, $s:path, export_description) => {
        $crate::__add_to_table!(@own $t, export_description)
    };
    ($t:ident, $s:path, block_size) => { $crate::__add_to_table!(@own $t, block_size) };
    ($t:ident, $s:path, can_write) => { $crate::__add_to_table!(@own $t, can_write) };
    ($t:ident, $s:path, can_flush) => { $crate::__add_to_table!(@own $t, can_flush) };
    ($t:ident, $s:path, is_rotational) => { $crate::__add_to_table!(@own $t, is_rotational) };
    ($t:ident, $s:path, can_trim) => { $crate::__add_to_table!(@own $t, can_trim) };
    ($t:ident, $s:path, can_zero) => { $crate::__add_to_table!(@own $t, can_zero) };
    ($t:ident, $s:path, can_fua) => { $crate::__add_to_table!(@own $t, can_fua) };
    ($t:ident, $s:path, can_multi_conn) => { $crate::__add_to_table!(@own $t, can_multi_conn) };
    ($t:ident, $s:path, can_extents) => { $crate::__add_to_table!(@own $t, can_extents) };
    ($t:ident, $s:path, can_cache) => { $crate::__add_to_table!(@own $t, can_cache) };
    ($t:ident, $s:path, can_fast_zero) => { $crate::__add_to_table!(@own $t, can_fast_zero) };
    ($t:ident, $s:path, flush) => { $crate::__add_to_table!(@own $t, flush) };
    ($t:ident, $s:path, trim) => { $crate::__add_to_table!(@own $t, trim) };
    ($t:ident, $s:path, zero) => { $crate::__add_to_table!(@own $t, zero) };
    ($t:ident, $s:path, extents) => { $crate::__add_to_table!(@own $t, extents) };
    ($t:ident, $s:path, cache) => { $crate::__add_to_table!(@own $t, cache) };
    ($t:ident, $s:path, write_at) => {
        $t.pwrite = ::std::option::Option::Some($crate::callbacks::write_at)
    };
    // These are there in any case, and may be listed.
    ($t:ident, $s:path, name) => {};
    ($t:ident, $s:path, open) => {};
    ($t:ident, $s:path, get_size) => {};
    ($t:ident, $s:path, read_at) => {};
    ($t:ident, $s:path, thread_model) => {};
    ($t:ident, $s:path, longname) => {};
    ($t:ident, $s:path, version) => {};
    ($t:ident, $s:path, description) => {};
    ($t:ident, $s:path, config_help) => {};
    ($t:ident, $s:path, magic_config_key) => {};
    ($t:ident, $s:path, pread) => {
        ::std::compile_error!("plugin!: in Rust, pread is called read_at")
    };
    ($t:ident, $s:path, pwrite) => {
        ::std::compile_error!("plugin!: in Rust, pwrite is called write_at")
    };
    ($t:ident, $s:path, close) => {
        ::std::compile_error!("plugin!: there is no close; implement Drop instead")
    };
    ($t:ident, $s:path, $other:ident) => {
        ::std::compile_error!(::std::concat!(
            "plugin!: Server has no optional method called ",
            ::std::stringify!($other)
        ))
    };
}
