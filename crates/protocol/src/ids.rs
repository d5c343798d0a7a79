//! Newtypes for ids and counters, so that no bare integer or string crosses a crate boundary.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The error for a text that is not an id of the requested type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid id")]
pub struct InvalidId;

/// Ids are strings on the wire (`"r1"`, `"u7"`): they have 64 bits, and JSON numbers are exact only up to 2^53.
macro_rules! string_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            /// Parses the only spelling of an id: no sign, no leading zero.
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let digits = text.strip_prefix($prefix).ok_or(InvalidId)?;
                if !digits.bytes().all(|b| b.is_ascii_digit()) || (digits.starts_with('0') && digits.len() > 1) {
                    return Err(InvalidId);
                }
                digits.parse().map($name).map_err(|_| InvalidId)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(|_| D::Error::custom(concat!("expected an id like \"", $prefix, "1\"")))
            }
        }
    };
}

string_id!(
    /// The id of a room, `"r1"` on the wire. Not reused after the room is deleted.
    RoomId, "r"
);
string_id!(
    /// The id of a user, guest or not, `"u7"` on the wire. Never reused.
    UserId, "u"
);

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// The value after this one. Only for numbers that this server has assigned: u64::MAX would overflow.
            #[must_use]
            pub fn next(self) -> Self {
                $name(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

counter!(
    /// The sequence number of an event in its room: 1, 2, 3 … without a gap. 0 is the position before the first event.
    Seq
);
counter!(
    /// The number of messages in a room so far. An unread count is the difference of two.
    MessageCount
);
counter!(
    /// The number that a client gives to one of its commands; the reply has the same number. Not interpreted by the server.
    CommandId
);

/// The identity of a store's history, an opaque text. Restoring a backup changes it, which invalidates the cursors of the old
/// epoch.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub String);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_has_exactly_one_spelling() {
        assert_eq!("r12".parse(), Ok(RoomId(12)));
        assert_eq!(RoomId(12).to_string(), "r12");
        for wrong in ["", "r", "12", "u12", "r-1", "r+1", "r01", "r1 ", "R1", "r18446744073709551616", "r１"]
        {
            assert_eq!(wrong.parse::<RoomId>(), Err(InvalidId), "{wrong:?}");
        }
    }
}
