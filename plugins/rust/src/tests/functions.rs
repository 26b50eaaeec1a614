// SPDX-License-Identifier: BSD-3-Clause
//! Each function: what it hands to the server, and what it makes of the answer.

use crate::errno::EINVAL;
use crate::stand_ins::{take_errno, take_log};
use crate::*;
use std::ptr;
use std::time::Duration;

#[test]
fn stopping_and_throwing_out() {
    shutdown();
    disconnect(false);
    disconnect(true);
    assert_eq!(take_log(), ["shutdown", "disconnect: 0", "disconnect: 1"]);
    set_error(28);
    assert_eq!(take_errno(), 28);
    assert_eq!(stop_fd(), 17);
}

#[test]
fn messages() {
    debug!("{} and {}", 1, "two");
    debug!("plain");
    let three = 3;
    error!("{three:02}");
    debug_hexdump(&[1, 2], "p", 9);
    debug_hexdiff(&[1], &[2], "q", 8);
    assert_eq!(
        take_log(),
        [
            "debug: 1 and two",
            "debug: plain",
            "error: 03",
            "hexdump: [1, 2] p 9",
            "hexdiff: [1] [2] q 8"
        ]
    );
    // What is in a message is no format of C's.
    debug!("100%s {}", "%n");
    assert_eq!(take_log(), ["debug: 100%s %n"]);
}

#[test]
fn sleeping() {
    nanosleep(Duration::new(3, 5)).unwrap();
    assert!(nanosleep(Duration::from_secs(61)).is_err());
    assert_eq!(take_log(), ["nanosleep: 3 5", "nanosleep: 61 0"]);
    assert_eq!(nanosleep(Duration::MAX).unwrap_err().errno(), EINVAL);
    assert_eq!(take_log(), [""; 0]);
}

#[test]
fn parsing() {
    assert_eq!(parse_size("512").unwrap(), 512);
    assert!(parse_bool("1").unwrap() && !parse_bool("0").unwrap());
    assert_eq!(parse_probability("p", "0.25").unwrap(), 0.25);
    assert_eq!(parse_delay("d", "2").unwrap(), Duration::new(2, 5));
    assert_eq!(parse_int("i", "-7").unwrap(), -7);
    assert_eq!(parse_unsigned("u", "7").unwrap(), 7);
    assert_eq!(parse_i8("i", "-128").unwrap(), i8::MIN);
    assert_eq!(parse_u8("u", "255").unwrap(), u8::MAX);
    assert_eq!(parse_i16("i", "-32768").unwrap(), i16::MIN);
    assert_eq!(parse_u16("u", "65535").unwrap(), u16::MAX);
    assert_eq!(parse_i32("i", "-2147483648").unwrap(), i32::MIN);
    assert_eq!(parse_u32("u", "4294967295").unwrap(), u32::MAX);
    assert_eq!(parse_i64("i", "-9223372036854775808").unwrap(), i64::MIN);
    assert_eq!(parse_u64("u", "18446744073709551615").unwrap(), u64::MAX);
    assert_eq!(take_log(), [""; 0]);
}

#[test]
fn parsing_what_is_wrong() {
    let errors = [
        parse_size("x").unwrap_err(),
        parse_bool("x").unwrap_err(),
        parse_probability("what", "x").unwrap_err(),
        parse_delay("what", "x").unwrap_err(),
        parse_int("what", "x").unwrap_err(),
        parse_u8("what", "256").unwrap_err(),
    ];
    assert!(errors.iter().all(|error| error.errno() == EINVAL));
    let log = take_log();
    assert_eq!(log.len(), errors.len());
    assert_eq!(log[4], "error: what: no number: x");
}

#[test]
fn texts() {
    assert_eq!(read_password("secret").unwrap(), "secret");
    assert_eq!(absolute_path("/x").unwrap(), "/x");
    assert_eq!(realpath("/x").unwrap(), "/x");
    assert!(absolute_path("").is_err() && realpath("").is_err());
    assert_eq!(
        (timestamp().as_str(), server_name().as_str()),
        ("today", "")
    );
    assert!(is_stdio_safe() && stdio_safe());
}

#[test]
fn the_client() {
    assert!(export_name().is_err() && is_tls().is_err() && peer_name().is_err());
    assert!(peername::<PeerName>().is_err());
    assert!(peer_pid().is_err());
    assert_eq!((peer_uid().unwrap(), peer_gid().unwrap()), (0, 5));
    assert!(peer_security_context().is_err());
    assert_eq!(peer_tls_dn().unwrap(), "CN=somebody");
    assert_eq!(peer_tls_issuer_dn().unwrap(), "");
    // A method that passes the error on does not have it logged twice.
    take_log();
    let is_named = crate::panics::guard("open", false, || {
        export_name()?;
        Ok(true)
    });
    assert!(!is_named);
    assert_eq!(take_log(), ["error: no client"]);
}

#[test]
fn extents() {
    let mut handle = ExtentHandle::new(ptr::null_mut());
    handle.add(0, 512, ExtentType::HoleZero).unwrap();
    assert!(handle.add(13, 1, ExtentType::Allocated).is_err());
    assert_eq!(take_log(), ["extent: 0 512 3", "extent: 13 1 0"]);
}

#[test]
fn exports() {
    let mut handle = ExportHandle::new(ptr::null_mut());
    handle.add("one", None).unwrap();
    handle.add("two", Some("the second")).unwrap();
    handle.use_default().unwrap();
    assert!(handle.add("refused", None).is_err());
    assert_eq!(
        take_log(),
        [
            "export: one NULL",
            "export: two the second",
            "default export",
            "export: refused NULL"
        ]
    );
}
