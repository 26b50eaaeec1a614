// SPDX-License-Identifier: BSD-3-Clause
//! Flags and choices that methods are given, or return.

use std::fmt;
use std::iter::FromIterator;
use std::ops;

/// What is special about a request: a set of flags, with the methods of a set of bits.
///
/// ```
/// use nbdkit::Flags;
///
/// let flags = Flags::FUA | Flags::MAY_TRIM;
/// assert!(flags.contains(Flags::FUA));
/// assert!(!flags.contains(Flags::FAST_ZERO));
/// assert_eq!(flags.bits(), 3);
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flags {
    bits: u32,
}

impl Flags {
    /// For `zero`: the range may become a hole, as long as it reads as zeroes.
    pub const MAY_TRIM: Flags = Flags { bits: 1 << 0 };
    /// For `write_at`, `trim` and `zero`: what is done must be on stable storage before the method
    /// returns. It comes only if [`Server::can_fua`](crate::Server::can_fua) says
    /// [`FuaFlags::Native`].
    pub const FUA: Flags = Flags { bits: 1 << 1 };
    /// For `extents`: the client wants to know about the first extent only.
    pub const REQ_ONE: Flags = Flags { bits: 1 << 2 };
    /// For `zero`: be faster than writing zeroes would be, or fail at once with EOPNOTSUPP.
    pub const FAST_ZERO: Flags = Flags { bits: 1 << 3 };

    const NAMES: [(Flags, &'static str); 4] = [
        (Flags::MAY_TRIM, "MAY_TRIM"),
        (Flags::FUA, "FUA"),
        (Flags::REQ_ONE, "REQ_ONE"),
        (Flags::FAST_ZERO, "FAST_ZERO"),
    ];

    /// No flag.
    pub const fn empty() -> Flags {
        Flags { bits: 0 }
    }

    /// Every flag.
    pub const fn all() -> Flags {
        Flags { bits: 0xf }
    }

    /// The flags as the server's API has them.
    pub const fn bits(&self) -> u32 {
        self.bits
    }

    /// The set with these bits, or `None` if one of them is no flag.
    pub const fn from_bits(bits: u32) -> Option<Flags> {
        if bits & !Flags::all().bits == 0 {
            Some(Flags { bits })
        } else {
            None
        }
    }

    /// The set with these bits, but for those that are no flags.
    pub const fn from_bits_truncate(bits: u32) -> Flags {
        Flags {
            bits: bits & Flags::all().bits,
        }
    }

    /// The set with these bits, whatever they are.
    ///
    /// # Safety
    ///
    /// Bits that are no flags are kept. Nothing here relies on there being none; other code may.
    pub const unsafe fn from_bits_unchecked(bits: u32) -> Flags {
        Flags { bits }
    }

    /// Whether there is no flag in it.
    pub const fn is_empty(&self) -> bool {
        self.bits == 0
    }

    /// Whether every flag is in it.
    pub const fn is_all(&self) -> bool {
        self.bits & Flags::all().bits == Flags::all().bits
    }

    /// Whether at least one flag is in both.
    pub const fn intersects(&self, other: Flags) -> bool {
        self.bits & other.bits != 0
    }

    /// Whether all of the other's flags are in it.
    pub const fn contains(&self, other: Flags) -> bool {
        self.bits & other.bits == other.bits
    }

    /// Adds the other's flags.
    pub fn insert(&mut self, other: Flags) {
        *self = self.union(other);
    }

    /// Takes the other's flags away.
    pub fn remove(&mut self, other: Flags) {
        *self = self.difference(other);
    }

    /// Adds those of the other's flags that are missing, takes the rest of them away.
    pub fn toggle(&mut self, other: Flags) {
        *self = self.symmetric_difference(other);
    }

    /// Adds the other's flags, or takes them away.
    pub fn set(&mut self, other: Flags, is_in: bool) {
        if is_in {
            self.insert(other);
        } else {
            self.remove(other);
        }
    }

    /// What is in both.
    pub const fn intersection(self, other: Flags) -> Flags {
        Flags {
            bits: self.bits & other.bits,
        }
    }

    /// What is in either.
    pub const fn union(self, other: Flags) -> Flags {
        Flags {
            bits: self.bits | other.bits,
        }
    }

    /// What is in this one and not in the other.
    pub const fn difference(self, other: Flags) -> Flags {
        Flags {
            bits: self.bits & !other.bits,
        }
    }

    /// What is in one of them and not in both.
    pub const fn symmetric_difference(self, other: Flags) -> Flags {
        Flags {
            bits: self.bits ^ other.bits,
        }
    }

    /// The flags that are not in it.
    pub const fn complement(self) -> Flags {
        Flags::from_bits_truncate(!self.bits)
    }
}

macro_rules! operators {
    ($($operator:ident $method:ident $assign:ident $assign_method:ident $function:ident;)*) => {
        $(impl ops::$operator for Flags {
            type Output = Flags;
            fn $method(self, other: Flags) -> Flags {
                self.$function(other)
            }
        }
        impl ops::$assign for Flags {
            fn $assign_method(&mut self, other: Flags) {
                *self = self.$function(other);
            }
        })*
    };
}

operators! {
    BitOr bitor BitOrAssign bitor_assign union;
    BitAnd bitand BitAndAssign bitand_assign intersection;
    BitXor bitxor BitXorAssign bitxor_assign symmetric_difference;
    Sub sub SubAssign sub_assign difference;
}

impl ops::Not for Flags {
    type Output = Flags;
    fn not(self) -> Flags {
        self.complement()
    }
}

impl Extend<Flags> for Flags {
    fn extend<T: IntoIterator<Item = Flags>>(&mut self, flags: T) {
        flags.into_iter().for_each(|flag| self.insert(flag));
    }
}

impl FromIterator<Flags> for Flags {
    fn from_iter<T: IntoIterator<Item = Flags>>(flags: T) -> Flags {
        flags.into_iter().fold(Flags::empty(), Flags::union)
    }
}

/// The names of the flags with `|` between them, `(empty)` if there are none.
impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = Flags::NAMES
            .iter()
            .filter(|(flag, _)| self.contains(*flag))
            .map(|(_, name)| name.to_string())
            .collect();
        let rest = self.bits & !Flags::all().bits;
        if rest != 0 {
            parts.push(format!("{:#x}", rest));
        }
        if parts.is_empty() {
            parts.push("(empty)".to_string());
        }
        f.write_str(&parts.join(" | "))
    }
}

macro_rules! number_formats {
    ($($format:ident)*) => {
        $(impl fmt::$format for Flags {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::$format::fmt(&self.bits, f)
            }
        })*
    };
}

number_formats! { Binary Octal LowerHex UpperHex }

/// What [`Server::can_fua`](crate::Server::can_fua) returns.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FuaFlags {
    /// Clients cannot ask for it.
    None = 0,
    /// The server calls `flush` after a request with the flag.
    Emulate = 1,
    /// The plugin's methods get [`Flags::FUA`] and see to it themselves.
    Native = 2,
}

/// What [`Server::can_cache`](crate::Server::can_cache) returns.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CacheFlags {
    /// Clients cannot ask for it.
    None = 0,
    /// The server reads the range with `read_at`, and throws the data away.
    Emulate = 1,
    /// The server calls `cache`.
    Native = 2,
}

/// How much the server may ask of a plugin at once.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ThreadModel {
    /// One client at a time; the next one waits until it has gone.
    SerializeConnections = 0,
    /// Several clients, but one call at a time, whoever it is for.
    SerializeAllRequests = 1,
    /// Several calls at once, but one at a time for each client.
    SerializeRequests = 2,
    /// Several calls at once, for one client too.
    Parallel = 3,
}
