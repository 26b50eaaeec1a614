// SPDX-License-Identifier: BSD-3-Clause
//! Who the client is. All of these fail in methods that are not called for a client.

use crate::functions::owned;
use crate::{ffi, Error, Result};
use std::ffi::OsStr;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Where a client is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PeerName {
    /// An address of the Internet, and a port.
    Inet(SocketAddr),
    /// A Unix socket. The client's end seldom has a path.
    Unix(Option<PathBuf>),
    /// A virtual machine's socket.
    Vsock {
        /// Which machine.
        cid: u32,
        /// Which of its ports.
        port: u32,
    },
    /// Another family of addresses, by its number.
    Other(u16),
}

/// What [`peername`] can return.
pub trait SockaddrLike: Sized {
    /// This name as a value of the type, if it can be one.
    fn from_peer_name(name: PeerName) -> Option<Self>;
}

impl SockaddrLike for PeerName {
    fn from_peer_name(name: PeerName) -> Option<Self> {
        Some(name)
    }
}

impl SockaddrLike for SocketAddr {
    fn from_peer_name(name: PeerName) -> Option<Self> {
        match name {
            PeerName::Inet(address) => Some(address),
            _ => None,
        }
    }
}

/// As large as any address, and aligned as they are.
#[repr(C, align(8))]
struct Storage([u8; 128]);

/// N bytes of an address, beginning at `from`.
fn bytes<const N: usize>(raw: &[u8], from: usize) -> Option<[u8; N]> {
    raw.get(from..from + N)?.try_into().ok()
}

/// What is in a `struct sockaddr`, or `None` if it is too short for its family.
pub(crate) fn decode(raw: &[u8]) -> Option<PeerName> {
    let port = || bytes(raw, 2).map(u16::from_be_bytes);
    let number = |from| bytes(raw, from).map(u32::from_ne_bytes);
    Some(match u16::from_ne_bytes(bytes(raw, 0)?) {
        1 => {
            let path = raw[2..]
                .split(|byte| *byte == 0)
                .next()
                .filter(|path| !path.is_empty());
            PeerName::Unix(path.map(|path| PathBuf::from(OsStr::from_bytes(path))))
        }
        2 => {
            let address = Ipv4Addr::from(bytes::<4>(raw, 4)?);
            PeerName::Inet(SocketAddrV4::new(address, port()?).into())
        }
        10 => {
            let address = Ipv6Addr::from(bytes::<16>(raw, 8)?);
            let flow = u32::from_be(number(4)?);
            PeerName::Inet(SocketAddrV6::new(address, port()?, flow, number(24)?).into())
        }
        40 => PeerName::Vsock {
            port: number(4)?,
            cid: number(8)?,
        },
        other => PeerName::Other(other),
    })
}

/// Where the client is.
///
/// # Errors
///
/// There is no client, or nobody knows where it is. A message has said so.
pub fn peer_name() -> Result<PeerName> {
    let mut storage = Storage([0; 128]);
    let mut length = storage.0.len() as u32;
    if unsafe { ffi::nbdkit_peer_name(storage.0.as_mut_ptr().cast(), &mut length) } == -1 {
        return Err(Error::logged_by_system("peer_name"));
    }
    let length = storage.0.len().min(length as usize);
    decode(&storage.0[..length]).ok_or_else(|| Error::from("peer_name: the address is too short"))
}

/// [`peer_name`] as a type of your choice: a [`PeerName`], or a [`SocketAddr`] where the client has
/// one.
///
/// # Errors
///
/// Those of [`peer_name`]; also if the name is not of that type.
pub fn peername<T: SockaddrLike>() -> std::result::Result<T, Box<dyn std::error::Error>> {
    let name = peer_name()?;
    let text = format!("{:?} is an address of another kind", name);
    T::from_peer_name(name).ok_or_else(|| text.into())
}

macro_rules! numbers {
    ($($name:ident, $function:ident, $what:literal;)*) => {
        $(
            #[doc = $what]
            ///
            /// # Errors
            ///
            /// The client did not come over a Unix socket, or there is none. A message has said so.
            pub fn $name() -> Result<i64> {
                match unsafe { ffi::$function() } {
                    -1 => Err(Error::logged_by_system(stringify!($name))),
                    number => Ok(number),
                }
            }
        )*
    };
}

numbers! {
    peer_pid, nbdkit_peer_pid, "The client's process id, over a Unix socket.";
    peer_uid, nbdkit_peer_uid, "The client's user id, over a Unix socket.";
    peer_gid, nbdkit_peer_gid, "The client's group id, over a Unix socket.";
}

macro_rules! texts {
    ($($name:ident, $function:ident, $what:literal;)*) => {
        $(
            #[doc = $what]
            ///
            /// # Errors
            ///
            /// There is none, or there is no client. A message has said so.
            pub fn $name() -> Result<String> {
                owned(unsafe { ffi::$function() }, stringify!($name))
            }
        )*
    };
}

texts! {
    peer_security_context, nbdkit_peer_security_context,
    "The client's security context, such as SELinux's label.";
    peer_tls_dn, nbdkit_peer_tls_dn,
    "The name in the client's TLS certificate; nothing if it has shown none.";
    peer_tls_issuer_dn, nbdkit_peer_tls_issuer_dn,
    "The name of who has issued the client's TLS certificate; nothing if it has shown none.";
}
