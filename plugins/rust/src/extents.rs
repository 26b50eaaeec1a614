// SPDX-License-Identifier: BSD-3-Clause
//! What `Server::extents` fills in.

use crate::{errno, ffi, Error, Result};

/// Whether a range of the disk is allocated, and whether it reads as zeroes.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExtentType {
    /// Allocated, and may contain anything.
    Allocated = 0,
    /// Not allocated, and need not read as zeroes. Few disks have any; see `HoleZero`.
    Hole = 1,
    /// Allocated, and reads as zeroes.
    Zero = 2,
    /// Not allocated, and reads as zeroes: what is usually called a hole.
    HoleZero = 3,
}

/// The list that [`Server::extents`](crate::Server::extents) adds extents to.
#[derive(Debug)]
pub struct ExtentHandle {
    list: *mut ffi::Extents,
}

impl ExtentHandle {
    pub(crate) fn new(list: *mut ffi::Extents) -> ExtentHandle {
        ExtentHandle { list }
    }

    /// Adds an extent of `length` bytes from `offset` on.
    ///
    /// The first one that is added must begin at the request's offset, or before it, and each
    /// further one where the last has ended. They may go on beyond the request.
    ///
    /// # Errors
    ///
    /// Extents that leave a gap, or overlap, are refused; that is the plugin's fault, so that the
    /// client gets EIO.
    pub fn add(&mut self, offset: u64, length: u64, ty: ExtentType) -> Result<()> {
        match unsafe { ffi::nbdkit_add_extent(self.list, offset, length, ty as u32) } {
            -1 => Err(Error::logged(errno::EIO, "adding an extent")),
            _ => Ok(()),
        }
    }
}
