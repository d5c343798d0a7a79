//! What a message says, and the key that makes a repeated send harmless.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text is no message body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBody {
    /// Nothing but space.
    #[error("a message cannot be empty")]
    Empty,
    /// More bytes than the server's `body_bytes`.
    #[error("a message of {found} bytes is too long: at most {limit}")]
    TooLong {
        /// Bytes found.
        found: usize,
        /// Bytes allowed.
        limit: u32,
    },
    /// U+0000: PostgreSQL cannot store it, and no one can type it.
    #[error("a message cannot contain U+0000")]
    Nul,
}

/// The text of a message, kept exactly as it was typed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MessageBody(String);

impl MessageBody {
    /// Accepts any text with something to see in it, of at most `limit` bytes.
    pub fn new(text: impl Into<String>, limit: u32) -> Result<Self, InvalidBody> {
        let text = text.into();
        if text.len() > limit as usize {
            return Err(InvalidBody::TooLong { found: text.len(), limit });
        }
        if text.contains('\0') {
            return Err(InvalidBody::Nul);
        }
        if text.trim().is_empty() {
            return Err(InvalidBody::Empty);
        }
        Ok(MessageBody(text))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Serialize for MessageBody {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// What a server said or a store holds was checked when it was sent, perhaps under a larger limit.
impl<'de> Deserialize<'de> for MessageBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?, u32::MAX).map_err(D::Error::custom)
    }
}

/// Why a text is no `client_message_id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a client_message_id is 1 to 64 visible ASCII characters")]
pub struct InvalidKey;

/// The sender's own name for a message: the same key is the same message, however often it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientMessageId(String);

impl ClientMessageId {
    /// 1 to 64 visible ASCII characters; a UUIDv7 is a good one.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidKey> {
        let text = text.into();
        if (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(ClientMessageId(text))
        } else {
            Err(InvalidKey)
        }
    }

    /// The key as the client wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientMessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for ClientMessageId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ClientMessageId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_body_is_kept_as_it_was_typed() {
        let typed = "  你好\n\tworld 👩‍🚀 <script>\r\n";
        assert_eq!(MessageBody::new(typed, 100).unwrap().as_str(), typed);
    }

    #[test]
    fn what_is_no_body_is_refused() {
        assert_eq!(MessageBody::new("", 10), Err(InvalidBody::Empty));
        assert_eq!(MessageBody::new(" \n\u{3000}", 10), Err(InvalidBody::Empty));
        assert_eq!(MessageBody::new("a\0b", 10), Err(InvalidBody::Nul));
        assert_eq!(MessageBody::new("茶馆茶馆", 11), Err(InvalidBody::TooLong { found: 12, limit: 11 }));
        assert!(MessageBody::new("茶馆茶馆", 12).is_ok());
    }

    #[test]
    fn a_key_is_short_and_visible() {
        assert!(ClientMessageId::new("0192f3a0-7b1e-7c00-8000-000000000001").is_ok());
        for bad in ["", "a b", "茶", "a\n", &"x".repeat(65)] {
            assert_eq!(ClientMessageId::new(bad), Err(InvalidKey), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_body_or_a_clear_error(text in any::<String>(), limit in 0u32..64) {
            if let Ok(body) = MessageBody::new(text.clone(), limit) {
                prop_assert_eq!(body.as_str(), text.as_str());
                prop_assert!(text.len() <= limit as usize && !text.contains('\0'));
            }
        }
    }
}
