//! The topic of a room.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::Limits;

/// Why a text is no topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTopic {
    /// More than [`Limits::TOPIC_CHARS`].
    #[error("a topic of {found} characters is too long: at most {limit}", limit = Limits::TOPIC_CHARS)]
    TooLong {
        /// Characters found.
        found: usize,
    },
    /// A control character, or a line break.
    #[error("a topic is one line, without control characters")]
    Control,
}

/// The topic of a room: one line of at most [`Limits::TOPIC_CHARS`] Unicode scalar values. The empty one is no topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Topic(String);

impl Topic {
    /// Reads a topic. White space around it is removed first.
    pub fn new(text: &str) -> Result<Self, InvalidTopic> {
        let text = text.trim();
        if text.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
            return Err(InvalidTopic::Control);
        }
        match text.chars().count() {
            found if found > Limits::TOPIC_CHARS as usize => Err(InvalidTopic::TooLong { found }),
            _ => Ok(Topic(text.to_owned())),
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the room has no topic.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Topic {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::new(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_around_a_topic_is_removed() {
        assert_eq!(Topic::new(" \t今天喝龙井 👩‍🚀\r\n").unwrap().as_str(), "今天喝龙井 👩‍🚀");
        assert!(Topic::new("  ").unwrap().is_empty());
    }

    #[test]
    fn topic_length_is_counted_in_scalar_values() {
        assert!(Topic::new(&"茶".repeat(250)).is_ok());
        assert_eq!(Topic::new(&"茶".repeat(251)), Err(InvalidTopic::TooLong { found: 251 }));
    }

    #[test]
    fn control_character_inside_a_topic_is_refused() {
        for text in ["a\nb", "a\tb", "a\0b", "a\u{1b}[2Jb", "a\u{85}b", "a\u{2028}b"] {
            assert_eq!(Topic::new(text), Err(InvalidTopic::Control), "{text:?}");
        }
    }
}
