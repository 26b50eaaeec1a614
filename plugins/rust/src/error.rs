// SPDX-License-Identifier: BSD-3-Clause
//! What a method that fails returns, and how it reaches the log and the client.

use crate::errno;
use crate::ffi;
use crate::message::write_error;
use std::error::Error as StdError;
use std::fmt;
use std::io;

type Inner = Box<dyn StdError + Send + Sync>;

/// What the methods of [`Server`](crate::Server) return.
pub type Result<T> = std::result::Result<T, Error>;

/// Why something failed: a message for the server's log, and an errno for the client.
///
/// An error whose message is empty is not logged. That suits
/// [`Server::zero`](crate::Server::zero), for instance, which may fail with EOPNOTSUPP as a matter
/// of course.
///
/// ```no_run
/// use nbdkit::{errno, Error, Result};
///
/// fn check(offset: u64) -> Result<()> {
///     if offset % 512 != 0 {
///         return Err(Error::new(errno::EINVAL, format!("{} is not a whole sector", offset)));
///     }
///     Ok(())
/// }
///
/// fn length(path: &str) -> Result<u64> {
///     Ok(std::fs::metadata(path)?.len()) // an io::Error becomes an Error, errno and all
/// }
/// ```
#[derive(Debug)]
pub struct Error {
    errno: Option<i32>,
    inner: Inner,
    /// The server has logged it already.
    is_logged: bool,
}

impl Error {
    /// An error with an errno, of [`errno`] or `libc`, and a message or another error.
    pub fn new<E>(errno: i32, error: E) -> Error
    where
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        Error {
            errno: Some(errno).filter(|number| *number > 0),
            inner: error.into(),
            is_logged: false,
        }
    }

    /// The errno that the client gets. Without one of its own that is EIO, or what
    /// [`set_error`](crate::set_error) has said.
    pub fn errno(&self) -> i32 {
        self.errno.unwrap_or(errno::EIO)
    }

    /// A function of the server's has failed, and has logged why.
    pub(crate) fn logged(errno: i32, function: &str) -> Error {
        let text = format!("{} failed, the server's log says why", function);
        Error {
            errno: Some(errno),
            inner: text.into(),
            is_logged: true,
        }
    }

    /// The same, of a function that has set errno.
    pub(crate) fn logged_by_system(function: &str) -> Error {
        let errno = io::Error::last_os_error().raw_os_error();
        Error::logged(
            errno.filter(|number| *number > 0).unwrap_or(errno::EIO),
            function,
        )
    }

    fn plain(inner: Inner) -> Error {
        Error {
            errno: None,
            inner,
            is_logged: false,
        }
    }

    /// Tells the server: a line in the log, and the errno for the client.
    pub(crate) fn report(&self) {
        let text = self.to_string();
        if !self.is_logged && !text.is_empty() {
            write_error(format_args!("{}", text));
        }
        if let Some(errno) = self.errno {
            unsafe { ffi::nbdkit_set_error(errno) };
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner.source()
    }
}

/// The errno of an error that did not come from the system.
fn errno_of_kind(kind: io::ErrorKind) -> Option<i32> {
    use io::ErrorKind::*;
    Some(match kind {
        NotFound => errno::ENOENT,
        PermissionDenied => errno::EACCES,
        ConnectionRefused => errno::ECONNREFUSED,
        ConnectionReset => errno::ECONNRESET,
        ConnectionAborted => errno::ECONNABORTED,
        NotConnected => errno::ENOTCONN,
        AddrInUse => errno::EADDRINUSE,
        BrokenPipe => errno::EPIPE,
        AlreadyExists => errno::EEXIST,
        WouldBlock => errno::EAGAIN,
        InvalidInput => errno::EINVAL,
        TimedOut => errno::ETIMEDOUT,
        Interrupted => errno::EINTR,
        Unsupported => errno::EOPNOTSUPP,
        OutOfMemory => errno::ENOMEM,
        _ => return None,
    })
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        let errno = error.raw_os_error().or_else(|| errno_of_kind(error.kind()));
        Error {
            errno,
            inner: error.into(),
            is_logged: false,
        }
    }
}

impl From<Inner> for Error {
    fn from(error: Inner) -> Error {
        error
            .downcast::<Error>()
            .map(|error| *error)
            .or_else(|other| {
                other
                    .downcast::<io::Error>()
                    .map(|error| Error::from(*error))
            })
            .unwrap_or_else(Error::plain)
    }
}

impl From<Box<dyn StdError>> for Error {
    fn from(error: Box<dyn StdError>) -> Error {
        error
            .downcast::<Error>()
            .map(|error| *error)
            .or_else(|other| {
                other
                    .downcast::<io::Error>()
                    .map(|error| Error::from(*error))
            })
            .unwrap_or_else(|other| Error::plain(other.to_string().into()))
    }
}

macro_rules! without_errno {
    ($($type:ty)*) => {
        $(impl From<$type> for Error {
            fn from(error: $type) -> Error {
                Error::plain(error.into())
            }
        })*
    };
}

without_errno! { &str String fmt::Error std::string::FromUtf8Error std::str::Utf8Error }

macro_rules! invalid {
    ($($type:ty)*) => {
        $(impl From<$type> for Error {
            fn from(error: $type) -> Error {
                Error::new(errno::EINVAL, error)
            }
        })*
    };
}

invalid! { std::num::ParseIntError std::num::ParseFloatError std::num::TryFromIntError
std::str::ParseBoolError std::char::ParseCharError std::ffi::NulError }

impl<T> From<std::sync::PoisonError<T>> for Error {
    fn from(error: std::sync::PoisonError<T>) -> Error {
        Error::plain(error.to_string().into())
    }
}
