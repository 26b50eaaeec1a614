// SPDX-License-Identifier: BSD-3-Clause
//! Errors: what they are made of, and what the server is told.

use crate::errno::*;
use crate::stand_ins::{take_errno, take_log};
use crate::{parse_size, Error};
use std::error::Error as StdError;
use std::io;

/// The errno that the server was told, and what was logged.
fn reported(error: Error) -> (i32, Vec<String>) {
    error.report();
    (take_errno(), take_log())
}

fn one(line: &str) -> Vec<String> {
    vec![format!("error: {}", line)]
}

#[test]
fn an_errno_and_a_message() {
    let error = Error::new(ENOSPC, "full");
    assert_eq!(
        (error.errno(), error.to_string().as_str()),
        (ENOSPC, "full")
    );
    assert_eq!(reported(error), (ENOSPC, one("full")));
    assert_eq!(
        reported(Error::new(EPERM, format!("no {}", 7))),
        (EPERM, one("no 7"))
    );
    assert_eq!(
        reported(Error::new(EPERM, io::Error::from_raw_os_error(EIO))).0,
        EPERM
    );
}

#[test]
fn without_a_message_nothing_is_logged() {
    assert_eq!(reported(Error::new(EOPNOTSUPP, "")), (EOPNOTSUPP, vec![]));
}

#[test]
fn without_an_errno_none_is_set() {
    assert_eq!(reported(Error::from("plain")), (0, one("plain")));
    assert_eq!(
        reported(Error::from("plain".to_string())),
        (0, one("plain"))
    );
    assert_eq!(reported(Error::new(0, "none")), (0, one("none")));
    assert_eq!(reported(Error::new(-5, "none")), (0, one("none")));
    assert_eq!(Error::from("plain").errno(), EIO);
}

#[test]
fn an_io_error_keeps_its_errno() {
    let error = io::Error::from_raw_os_error(ENOSPC);
    let text = error.to_string();
    assert_eq!(reported(error.into()), (ENOSPC, one(&text)));
    let kinds = [
        (io::ErrorKind::NotFound, ENOENT),
        (io::ErrorKind::PermissionDenied, EACCES),
        (io::ErrorKind::InvalidInput, EINVAL),
        (io::ErrorKind::TimedOut, ETIMEDOUT),
        (io::ErrorKind::OutOfMemory, ENOMEM),
        (io::ErrorKind::Unsupported, EOPNOTSUPP),
        (io::ErrorKind::Other, 0),
        (io::ErrorKind::UnexpectedEof, 0),
    ];
    for (kind, errno) in kinds {
        assert_eq!(
            reported(io::Error::new(kind, "why").into()),
            (errno, one("why"))
        );
    }
}

#[test]
fn the_numbers_are_those_of_the_system() {
    let kinds = [
        (ENOENT, io::ErrorKind::NotFound),
        (EINTR, io::ErrorKind::Interrupted),
        (EAGAIN, io::ErrorKind::WouldBlock),
        (EACCES, io::ErrorKind::PermissionDenied),
        (EEXIST, io::ErrorKind::AlreadyExists),
        (EINVAL, io::ErrorKind::InvalidInput),
        (EPIPE, io::ErrorKind::BrokenPipe),
        (ENOSYS, io::ErrorKind::Unsupported),
        (EADDRINUSE, io::ErrorKind::AddrInUse),
        (ECONNABORTED, io::ErrorKind::ConnectionAborted),
        (ECONNRESET, io::ErrorKind::ConnectionReset),
        (ENOTCONN, io::ErrorKind::NotConnected),
        (ETIMEDOUT, io::ErrorKind::TimedOut),
        (ECONNREFUSED, io::ErrorKind::ConnectionRefused),
        (ENOMEM, io::ErrorKind::OutOfMemory),
    ];
    for (errno, kind) in kinds {
        assert_eq!(
            io::Error::from_raw_os_error(errno).kind(),
            kind,
            "{}",
            errno
        );
    }
}

#[test]
fn boxes_are_opened() {
    let boxed: Box<dyn StdError> = Box::new(Error::new(ENOSPC, "full"));
    assert_eq!(reported(boxed.into()), (ENOSPC, one("full")));
    let boxed: Box<dyn StdError + Send + Sync> = Box::new(io::Error::from_raw_os_error(EPERM));
    assert_eq!(reported(boxed.into()).0, EPERM);
    let boxed: Box<dyn StdError> = "a text".into();
    assert_eq!(reported(boxed.into()), (0, one("a text")));
}

#[test]
fn what_the_user_wrote_is_invalid() {
    fn parse(text: &str) -> crate::Result<u8> {
        Ok(text.parse::<u8>()?)
    }
    let (errno, log) = reported(parse("300").unwrap_err());
    assert_eq!((errno, log.len()), (EINVAL, 1));
}

#[test]
fn what_the_server_has_logged_is_not_logged_again() {
    let error = parse_size("many").unwrap_err();
    assert_eq!(take_log(), ["error: size: no number: many"]);
    assert_eq!(reported(error), (EINVAL, vec![]));
    // Nor when it was boxed on its way.
    let boxed: Box<dyn StdError> = Box::new(parse_size("many").unwrap_err());
    take_log();
    assert_eq!(reported(boxed.into()), (EINVAL, vec![]));
}

#[test]
fn a_nul_in_a_message_is_written_out() {
    assert_eq!(reported(Error::from("one\0two")), (0, one("one\\0two")));
}

#[test]
fn an_error_may_go_to_another_thread() {
    fn check<T: Send + Sync + 'static>(_: T) {}
    check(Error::from("x"));
    let error = Error::new(EIO, Error::from("inner"));
    assert!(error.source().is_none());
    assert!(format!("{:?}", error).contains("inner"));
}
