// SPDX-License-Identifier: BSD-3-Clause
//! The layout of the table, as lines `member offset size`, which a test of the project's compares
//! with what the C header says.

use crate::ffi::Plugin;
use std::mem::{size_of, size_of_val, MaybeUninit};
use std::ptr;

macro_rules! show {
    ($table:ident: $($member:ident)*) => {
        $(
            let member = unsafe { ptr::addr_of!((*$table.as_ptr()).$member) };
            let offset = member as usize - $table.as_ptr() as usize;
            println!("layout {} {} {}", stringify!($member), offset, unsafe { size_of_val(&*member) });
        )*
    };
}

#[test]
fn the_layout_of_the_table() {
    let table = MaybeUninit::<Plugin>::zeroed();
    println!();
    println!("layout all {}", size_of::<Plugin>());
    show! { table:
        name longname version description load unload config config_complete config_help open close
        get_size can_write can_flush is_rotational can_trim errno_is_preserved dump_plugin can_zero
        can_fua pread pwrite flush trim zero magic_config_key can_multi_conn can_extents extents
        can_cache cache thread_model can_fast_zero preconnect get_ready after_fork list_exports
        default_export export_description cleanup block_size
    }
    assert_eq!(size_of::<Plugin>() % size_of::<usize>(), 0);
}
