// SPDX-License-Identifier: BSD-3-Clause
//! Numbers for [`Error::new`](crate::Error::new) and [`set_error`](crate::set_error), as Linux has
//! them.
//!
//! Any errno may be used. An NBD client is told EPERM, EIO, ENOMEM, EINVAL, ENOSPC or ESHUTDOWN:
//! EPERM for EROFS, ENOSPC for EFBIG, and EIO for what the protocol does not know. ENOTSUP is for
//! zeroes that would not be fast, and EINVAL with other requests.

macro_rules! numbers {
    ($($name:ident $value:literal $meaning:literal;)*) => {
        $(#[doc = $meaning] pub const $name: i32 = $value;)*
    };
}

numbers! {
    EPERM 1 "Not permitted.";
    ENOENT 2 "There is no such file.";
    EINTR 4 "Interrupted by a signal.";
    EIO 5 "Input or output failed; what a client gets when no errno is named.";
    EBADF 9 "No such file descriptor.";
    EAGAIN 11 "Not now, try again.";
    ENOMEM 12 "There is not enough memory.";
    EACCES 13 "No right to do it.";
    EBUSY 16 "In use.";
    EEXIST 17 "It exists already.";
    ENODEV 19 "There is no such device.";
    EINVAL 22 "The arguments make no sense.";
    EFBIG 27 "The file would be too large.";
    ENOSPC 28 "There is no room left.";
    ESPIPE 29 "Not possible with a pipe or socket.";
    EROFS 30 "Read-only.";
    EPIPE 32 "Nobody reads from the pipe.";
    ERANGE 34 "The result does not fit.";
    ENOSYS 38 "There is no such function.";
    EOVERFLOW 75 "The value does not fit into its type.";
    EOPNOTSUPP 95 "Not supported; from `zero`, it has the server write zeroes itself.";
    ENOTSUP 95 "Another name of `EOPNOTSUPP`.";
    EADDRINUSE 98 "The address is in use.";
    ECONNABORTED 103 "The connection was broken off.";
    ECONNRESET 104 "The other side broke the connection.";
    ENOTCONN 107 "There is no connection.";
    ESHUTDOWN 108 "The server is shutting down.";
    ETIMEDOUT 110 "It took too long.";
    ECONNREFUSED 111 "Nobody listens there.";
}
