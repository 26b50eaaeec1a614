// SPDX-License-Identifier: BSD-3-Clause
//! What a plugin consists of.

use crate::errno::EOPNOTSUPP;
use crate::{CacheFlags, Error, ExportHandle, ExtentHandle, Flags, FuaFlags, Result, ThreadModel};

/// What [`Server::block_size`] returns, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlockSize {
    /// Requests must be whole blocks of this size: a power of two, at most 65536.
    pub minimum: u32,
    /// Requests of this size are quick: a power of two, at least 512 and the minimum.
    pub preferred: u32,
    /// No request may have more: a multiple of the minimum, or `u32::MAX` for no limit.
    pub maximum: u32,
}

/// What a method does that stands in the list of [`plugin!`](crate::plugin!) and nowhere else.
fn missing<T>(method: &str) -> Result<T> {
    let text = format!(
        "plugin! lists {}, but the plugin has no such method",
        method
    );
    Err(Error::new(EOPNOTSUPP, text))
}

/// A plugin, and one client's connection to it.
///
/// The functions without `self` are about the plugin as a whole. [`open`](Server::open) makes the
/// value that the methods with `&self` are called with, one for each connection. It is dropped when
/// the connection has ended: implement [`Drop`] for what has to be done then.
///
/// Four functions are required. Each of the others is called only if it stands in the list of
/// [`plugin!`](crate::plugin!), but for those that return texts, and for
/// [`thread_model`](Server::thread_model), which need not be listed. What the server does without a
/// method is said with each.
///
/// Offsets and counts are in bytes, and always within the disk.
pub trait Server {
    /// The size of the disk in bytes.
    fn get_size(&self) -> Result<i64>;

    /// The plugin's name: letters, digits, and dashes but not first.
    fn name() -> &'static str
    where
        Self: Sized;

    /// A client has connected; [`export_name`](crate::export_name) says which disk it wants.
    ///
    /// `readonly` is true if the client will not be able to write, because of the server's option
    /// `-r`. The value that is returned may have another type than this one. If it fails, the
    /// client is refused.
    fn open(readonly: bool) -> Result<Box<dyn Server>>
    where
        Self: Sized;

    /// Reads: fills all of `buf` with what is at `offset`.
    ///
    /// What was in the buffer before has no meaning, and must not get to the client.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()>;

    /// The server has gone to the background, or stays in the foreground, and serves from here on.
    /// Threads that were started earlier are gone: start them here.
    fn after_fork() -> Result<()>
    where
        Self: Sized,
    {
        missing("after_fork")
    }

    /// The smallest, best and largest request. Without it, clients are told nothing.
    fn block_size(&self) -> Result<BlockSize> {
        missing("block_size")
    }

    /// Fetches a range that will soon be read. It comes only if [`can_cache`](Server::can_cache)
    /// says [`CacheFlags::Native`].
    fn cache(&self, _count: u32, _offset: u64) -> Result<()> {
        missing("cache")
    }

    /// What is done when a client asks to cache. Without it, that is `Native` if `cache` is listed,
    /// otherwise `None`.
    fn can_cache(&self) -> Result<CacheFlags> {
        missing("can_cache")
    }

    /// Whether clients can ask for extents. Without it, they can if `extents` is listed.
    fn can_extents(&self) -> Result<bool> {
        missing("can_extents")
    }

    /// Whether clients can flush. Without it, they can if `flush` is listed.
    fn can_flush(&self) -> Result<bool> {
        missing("can_flush")
    }

    /// Whether clients can ask for zeroes with [`Flags::FAST_ZERO`]. Without it, they can if
    /// `zero` is not listed either; then the server answers that it is not fast.
    fn can_fast_zero(&self) -> Result<bool> {
        missing("can_fast_zero")
    }

    /// How requests with [`Flags::FUA`] are done. Without it, that is `Emulate` if clients can
    /// flush, otherwise `None`.
    fn can_fua(&self) -> Result<FuaFlags> {
        missing("can_fua")
    }

    /// Whether a client may use several connections: what one has written and flushed, all others
    /// must see. Without it, it may not.
    fn can_multi_conn(&self) -> Result<bool> {
        missing("can_multi_conn")
    }

    /// Whether clients can trim. Without it, they can if `trim` is listed.
    fn can_trim(&self) -> Result<bool> {
        missing("can_trim")
    }

    /// Whether clients can write. Without it, they can if `write_at` is listed.
    fn can_write(&self) -> Result<bool> {
        missing("can_write")
    }

    /// Whether the server calls `zero`. Without it, it does if `zero` is listed; where it does not,
    /// it writes zeroes with `write_at`.
    fn can_zero(&self) -> Result<bool> {
        missing("can_zero")
    }

    /// The last connection has ended, and the server is about to.
    fn cleanup()
    where
        Self: Sized,
    {
    }

    /// A parameter of the command line. Without it, any parameter is an error.
    fn config(_key: &str, _value: &str) -> Result<()>
    where
        Self: Sized,
    {
        missing("config")
    }

    /// There are no more parameters; here is the place to miss one.
    fn config_complete() -> Result<()>
    where
        Self: Sized,
    {
        missing("config_complete")
    }

    /// What `nbdlab PLUGIN --help` says about the parameters, one to a line.
    fn config_help() -> Option<&'static str>
    where
        Self: Sized,
    {
        None
    }

    /// The export that a client gets that asks for the one without a name.
    fn default_export(_readonly: bool, _is_tls: bool) -> Result<String>
    where
        Self: Sized,
    {
        missing("default_export")
    }

    /// What the plugin is for, in a few words or lines.
    fn description() -> Option<&'static str>
    where
        Self: Sized,
    {
        None
    }

    /// Prints lines `key=value` to standard output, for `nbdlab --dump-plugin`.
    fn dump_plugin()
    where
        Self: Sized,
    {
    }

    /// What the client's export is, for people.
    fn export_description(&self) -> Result<String> {
        missing("export_description")
    }

    /// Which parts of a range are allocated: adds them to `extent_handle`, at least the first.
    ///
    /// The flag that may come is [`Flags::REQ_ONE`].
    fn extents(
        &self,
        _count: u32,
        _offset: u64,
        _flags: Flags,
        _extent_handle: &mut ExtentHandle,
    ) -> Result<()> {
        missing("extents")
    }

    /// Puts all that was written on stable storage.
    fn flush(&self) -> Result<()> {
        missing("flush")
    }

    /// The last step before the server goes to the background.
    fn get_ready() -> Result<()>
    where
        Self: Sized,
    {
        missing("get_ready")
    }

    /// Whether the disk is slow to seek. Without it, it is not.
    fn is_rotational(&self) -> Result<bool> {
        missing("is_rotational")
    }

    /// The exports that a client is told of when it asks for a list. Without it, that is the
    /// default export.
    fn list_exports(_readonly: bool, _is_tls: bool, _exports: &mut ExportHandle) -> Result<()>
    where
        Self: Sized,
    {
        missing("list_exports")
    }

    /// The plugin has just been loaded.
    fn load()
    where
        Self: Sized,
    {
    }

    /// A longer name of the plugin, for people.
    fn longname() -> Option<&'static str>
    where
        Self: Sized,
    {
        None
    }

    /// The key of a parameter that is written without one: with `file`, `nbdlab PLUGIN disk.img`
    /// means `file=disk.img`.
    fn magic_config_key() -> Option<&'static str>
    where
        Self: Sized,
    {
        None
    }

    /// Somebody has connected, and has not been greeted yet. If it fails, nobody is.
    fn preconnect(_readonly: bool) -> Result<()>
    where
        Self: Sized,
    {
        missing("preconnect")
    }

    /// How many calls the server may make at once. It is asked after `config_complete`. Without it,
    /// the model is [`ThreadModel::Parallel`].
    fn thread_model() -> Result<ThreadModel>
    where
        Self: Sized,
    {
        Ok(ThreadModel::Parallel)
    }

    /// Gives up a range, which may read as anything afterwards.
    ///
    /// The flag that may come is [`Flags::FUA`].
    fn trim(&self, _count: u32, _offset: u64, _flags: Flags) -> Result<()> {
        missing("trim")
    }

    /// The plugin is about to be unloaded, and no further function is called.
    fn unload()
    where
        Self: Sized,
    {
    }

    /// The plugin's version, for people.
    fn version() -> Option<&'static str>
    where
        Self: Sized,
    {
        None
    }

    /// Writes all of `buf` at `offset`.
    ///
    /// The flag that may come is [`Flags::FUA`].
    fn write_at(&self, _buf: &[u8], _offset: u64, _flags: Flags) -> Result<()> {
        missing("write_at")
    }

    /// Makes zeroes of a range. If it fails with EOPNOTSUPP, the server writes them with
    /// `write_at`; with [`Flags::FAST_ZERO`] the client is told instead.
    ///
    /// The flags that may come are [`Flags::MAY_TRIM`], [`Flags::FUA`] and [`Flags::FAST_ZERO`].
    fn zero(&self, _count: u32, _offset: u64, _flags: Flags) -> Result<()> {
        missing("zero")
    }
}
