// SPDX-License-Identifier: BSD-3-Clause
//! Flags, choices, and addresses.

use crate::peer::decode;
use crate::{CacheFlags, ExtentType, Flags, FuaFlags, PeerName, SockaddrLike, ThreadModel};
use std::net::SocketAddr;
use std::path::PathBuf;

#[test]
fn flags_are_those_of_the_header() {
    let values = [
        (Flags::MAY_TRIM, 1),
        (Flags::FUA, 2),
        (Flags::REQ_ONE, 4),
        (Flags::FAST_ZERO, 8),
        (Flags::empty(), 0),
        (Flags::all(), 15),
    ];
    for (flags, bits) in values {
        assert_eq!(flags.bits(), bits);
        assert_eq!(Flags::from_bits(bits), Some(flags));
    }
    assert_eq!(Flags::from_bits(16), None);
    assert_eq!(Flags::from_bits_truncate(16 | 2), Flags::FUA);
    assert_eq!(unsafe { Flags::from_bits_unchecked(16) }.bits(), 16);
    assert_eq!(Flags::default(), Flags::empty());
}

#[test]
fn flags_are_a_set() {
    let mut flags = Flags::FUA | Flags::MAY_TRIM;
    assert!(flags.contains(Flags::FUA) && !flags.contains(Flags::FUA | Flags::REQ_ONE));
    assert!(flags.intersects(Flags::FUA | Flags::REQ_ONE) && !flags.intersects(Flags::REQ_ONE));
    assert!(!flags.is_empty() && !flags.is_all() && Flags::all().is_all());
    assert_eq!(flags & Flags::FUA, Flags::FUA);
    assert_eq!(flags - Flags::FUA, Flags::MAY_TRIM);
    assert_eq!(flags ^ Flags::all(), Flags::REQ_ONE | Flags::FAST_ZERO);
    assert_eq!(!flags, Flags::REQ_ONE | Flags::FAST_ZERO);
    flags.remove(Flags::FUA);
    flags.insert(Flags::REQ_ONE);
    flags.toggle(Flags::MAY_TRIM);
    assert_eq!(flags, Flags::REQ_ONE);
    flags.set(Flags::FUA, true);
    flags.set(Flags::REQ_ONE, false);
    assert_eq!(flags, Flags::FUA);
    flags |= Flags::REQ_ONE;
    flags &= Flags::REQ_ONE;
    flags ^= Flags::FUA;
    flags -= Flags::REQ_ONE;
    assert_eq!(flags, Flags::FUA);
    flags.extend([Flags::REQ_ONE]);
    assert_eq!(flags, [Flags::FUA, Flags::REQ_ONE].into_iter().collect());
}

#[test]
fn flags_can_be_shown() {
    assert_eq!(format!("{:?}", Flags::empty()), "(empty)");
    assert_eq!(
        format!("{:?}", Flags::FUA | Flags::MAY_TRIM),
        "MAY_TRIM | FUA"
    );
    assert_eq!(
        format!("{:?}", unsafe { Flags::from_bits_unchecked(18) }),
        "FUA | 0x10"
    );
    assert_eq!(
        format!(
            "{:#x} {:b} {:o}",
            Flags::all(),
            Flags::FUA,
            Flags::FAST_ZERO
        ),
        "0xf 10 10"
    );
}

#[test]
fn choices_are_those_of_the_header() {
    assert_eq!(
        [FuaFlags::None, FuaFlags::Emulate, FuaFlags::Native].map(|v| v as i32),
        [0, 1, 2]
    );
    let caching = [CacheFlags::None, CacheFlags::Emulate, CacheFlags::Native];
    assert_eq!(caching.map(|v| v as i32), [0, 1, 2]);
    use ExtentType::*;
    assert_eq!(
        [Allocated, Hole, Zero, HoleZero].map(|v| v as u32),
        [0, 1, 2, 3]
    );
    use ThreadModel::*;
    let models = [
        SerializeConnections,
        SerializeAllRequests,
        SerializeRequests,
        Parallel,
    ];
    assert_eq!(models.map(|v| v as i32), [0, 1, 2, 3]);
}

/// A `struct sockaddr`: its family, and the rest.
fn address(family: u16, rest: &[u8]) -> Vec<u8> {
    [&family.to_ne_bytes(), rest].concat()
}

#[test]
fn addresses() {
    let v4 = address(2, &[0x1f, 0x90, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    let name = decode(&v4).unwrap();
    assert_eq!(name, PeerName::Inet("127.0.0.1:8080".parse().unwrap()));
    assert_eq!(SocketAddr::from_peer_name(name).unwrap().port(), 8080);
    let mut v6 = vec![0x1f, 0x90, 0, 0, 0, 0];
    v6.extend([0; 15]);
    v6.push(1);
    v6.extend(7u32.to_ne_bytes());
    assert_eq!(
        decode(&address(10, &v6)),
        Some(PeerName::Inet("[::1%7]:8080".parse().unwrap()))
    );
    let vsock = [&[0, 0], &1024u32.to_ne_bytes()[..], &3u32.to_ne_bytes()[..]].concat();
    assert_eq!(
        decode(&address(40, &vsock)),
        Some(PeerName::Vsock { cid: 3, port: 1024 })
    );
    assert_eq!(decode(&address(17, &[])), Some(PeerName::Other(17)));
}

#[test]
fn addresses_of_unix_sockets() {
    let path = PeerName::Unix(Some(PathBuf::from("/tmp/s")));
    assert_eq!(decode(&address(1, b"/tmp/s\0")), Some(path.clone()));
    assert_eq!(decode(&address(1, b"/tmp/s")), Some(path.clone()));
    assert_eq!(decode(&address(1, b"")), Some(PeerName::Unix(None)));
    assert_eq!(
        decode(&address(1, b"\0abstract")),
        Some(PeerName::Unix(None))
    );
    assert_eq!(SocketAddr::from_peer_name(path.clone()), None);
    assert_eq!(PeerName::from_peer_name(path.clone()), Some(path));
}

#[test]
fn addresses_that_are_too_short() {
    for raw in [
        &[][..],
        &[2],
        &[2, 0],
        &[2, 0, 1, 1, 127, 0, 0],
        &[10, 0, 1, 1],
        &[40, 0, 0],
    ] {
        assert_eq!(decode(raw), None, "{:?}", raw);
    }
}
