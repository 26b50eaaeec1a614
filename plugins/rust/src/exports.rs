// SPDX-License-Identifier: BSD-3-Clause
//! What `Server::list_exports` fills in.

use crate::message::to_c;
use crate::{ffi, Error, Result};
use std::ptr;

/// The list that [`Server::list_exports`](crate::Server::list_exports) adds exports to.
#[derive(Debug)]
pub struct ExportHandle {
    list: *mut ffi::Exports,
}

impl ExportHandle {
    pub(crate) fn new(list: *mut ffi::Exports) -> ExportHandle {
        ExportHandle { list }
    }

    /// Adds an export, with a description if there is one to give.
    ///
    /// # Errors
    ///
    /// A name or description of more than 4096 bytes is refused with EINVAL.
    pub fn add(&mut self, name: &str, description: Option<&str>) -> Result<()> {
        let name = to_c(name);
        let description = description.map(to_c);
        let text = description
            .as_ref()
            .map_or(ptr::null(), |text| text.as_ptr());
        match unsafe { ffi::nbdkit_add_export(self.list, name.as_ptr(), text) } {
            -1 => Err(Error::logged_by_system("adding an export")),
            _ => Ok(()),
        }
    }

    /// Adds the one export that [`Server::default_export`](crate::Server::default_export) names.
    ///
    /// # Errors
    ///
    /// EINVAL if the list cannot take it.
    pub fn use_default(&mut self) -> Result<()> {
        match unsafe { ffi::nbdkit_use_default_export(self.list) } {
            -1 => Err(Error::logged_by_system("adding the default export")),
            _ => Ok(()),
        }
    }
}
