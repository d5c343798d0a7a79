//! The body of a message, and its idempotency key.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text is not a valid message body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBody {
    /// No character other than white space.
    #[error("a message cannot be empty")]
    Empty,
    /// More bytes than the server's `body_bytes`.
    #[error("a message of {found} bytes is too long: at most {limit}")]
    TooLong {
        /// The length of the text in UTF-8 bytes.
        found: usize,
        /// The longest permitted text in UTF-8 bytes.
        limit: u32,
    },
    /// U+0000, which PostgreSQL cannot store.
    #[error("a message cannot contain U+0000")]
    Nul,
}

/// The text of a message: not blank, without U+0000, and otherwise exactly what the sender wrote (no trimming, no
/// normalization).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MessageBody(String);

impl MessageBody {
    /// Accepts text of at most `limit` UTF-8 bytes that is not blank.
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

    /// The text as it was sent. It may contain control characters and line breaks: a plain-text recipient gets
    /// `domain::sanitize_line` of it.
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

/// Deserializes without a length limit: frames of a server and stored rows were checked when they were sent, perhaps under a
/// larger limit.
impl<'de> Deserialize<'de> for MessageBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?, u32::MAX).map_err(D::Error::custom)
    }
}

/// The error for a text that is not a valid `client_message_id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a client_message_id is 1 to 64 visible ASCII characters")]
pub struct InvalidKey;

/// The idempotency key of a message, chosen by the sender: repeated sends with one key store one message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientMessageId(String);

impl ClientMessageId {
    /// Accepts 1 to 64 visible ASCII characters; a UUIDv7 is recommended.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidKey> {
        let text = text.into();
        if (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(ClientMessageId(text))
        } else {
            Err(InvalidKey)
        }
    }

    /// The key as the client wrote it; keys are compared byte by byte.
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
    fn body_is_stored_unchanged() {
        let typed = "  你好\n\tworld 👩‍🚀 <script>\r\n";
        assert_eq!(MessageBody::new(typed, 100).unwrap().as_str(), typed);
    }

    #[test]
    fn empty_or_too_long_body_is_rejected() {
        assert_eq!(MessageBody::new("", 10), Err(InvalidBody::Empty));
        assert_eq!(MessageBody::new(" \n\u{3000}", 10), Err(InvalidBody::Empty));
        assert_eq!(MessageBody::new("a\0b", 10), Err(InvalidBody::Nul));
        assert_eq!(MessageBody::new("茶馆茶馆", 11), Err(InvalidBody::TooLong { found: 12, limit: 11 }));
        assert!(MessageBody::new("茶馆茶馆", 12).is_ok());
    }

    #[test]
    fn client_message_id_is_short_visible_ascii() {
        assert!(ClientMessageId::new("0192f3a0-7b1e-7c00-8000-000000000001").is_ok());
        for bad in ["", "a b", "茶", "a\n", &"x".repeat(65)] {
            assert_eq!(ClientMessageId::new(bad), Err(InvalidKey), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn accepted_body_is_within_its_limit(text in any::<String>(), limit in 0u32..64) {
            if let Ok(body) = MessageBody::new(text.clone(), limit) {
                prop_assert_eq!(body.as_str(), text.as_str());
                prop_assert!(text.len() <= limit as usize && !text.contains('\0'));
            }
        }
    }
}
