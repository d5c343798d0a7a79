//! Names of rooms and users. Rooms are looked up by a key without case and width, so `Tea`, `tea` and `ｔｅａ` are one room.
//!
//! The rules are not those of PRECIS (RFC 8264 to 8266, `precis-profiles`). Its profile for nicknames rejects the joiner
//! U+200D and the selector U+FE0F, without which many emoji do not exist; its profile for usernames has `#` and `/` in names
//! and does not fold `ß`; and the crate's tables are those of Unicode 6.3.

use std::fmt;
use std::str::FromStr;

use caseless::Caseless;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use unicode_normalization::char::is_combining_mark;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick, is_nfkc_quick};

use crate::{Limits, RoomId};

/// The reason why a text is not a valid name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Nothing is left after normalization.
    #[error("a name cannot be empty")]
    Empty,
    /// The name has more than [`Limits::ROOM_NAME_CHARS`] or [`Limits::USER_NAME_CHARS`] characters.
    #[error("a name of {found} characters is too long: at most {limit}")]
    TooLong {
        /// The length of the name in Unicode scalar values.
        found: usize,
        /// The longest permitted name in Unicode scalar values.
        limit: u32,
    },
    /// A character that is not allowed at this position.
    #[error("a name cannot contain {0:?} there")]
    Character(char),
    /// A room name such as `r12` would be ambiguous with the room id of the same spelling.
    #[error("a room's name cannot look like a room's id")]
    LooksLikeId,
}

/// The display name of a room: letters and digits of any script, `-` and `_`, in NFKC.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RoomName(String);

impl RoomName {
    /// The room that exists from the first start and is never deleted.
    pub const LOBBY: &'static str = "lobby";

    /// Parses a name and normalizes it to NFKC. Surrounding white space and a leading `#` are removed.
    pub fn new(text: &str) -> Result<Self, InvalidName> {
        let text = text.trim();
        let text = text.strip_prefix('#').unwrap_or(text);
        // Bounded before normalization, which may expand one character to eighteen.
        let found = text.chars().count();
        if found > Limits::ROOM_NAME_CHARS as usize {
            return Err(InvalidName::TooLong { found, limit: Limits::ROOM_NAME_CHARS });
        }
        // The common case in every script, without a second pass: a name is parsed for every message of its owner.
        let name: String = match is_nfkc_quick(text.chars()) {
            IsNormalized::Yes => text.to_owned(),
            _ => text.nfkc().collect(),
        };
        let found = name.chars().count();
        if found > Limits::ROOM_NAME_CHARS as usize {
            return Err(InvalidName::TooLong { found, limit: Limits::ROOM_NAME_CHARS });
        }
        for (at, c) in name.chars().enumerate() {
            // Combining marks are vowels in many scripts, but need a base character.
            let allowed =
                if is_combining_mark(c) { at > 0 } else { c.is_alphanumeric() || c == '-' || c == '_' };
            if !allowed {
                return Err(InvalidName::Character(c));
            }
        }
        if name.is_empty() {
            return Err(InvalidName::Empty);
        }
        let name = RoomName(name);
        // This includes `r007`, which is not an id but looks like one.
        let key = name.key();
        if key
            .strip_prefix('r')
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
        {
            return Err(InvalidName::LooksLikeId);
        }
        Ok(name)
    }

    /// The key by which names are compared: NFKC, case-folded (Unicode 5.18, "caseless matching").
    #[must_use]
    pub fn key(&self) -> String {
        self.0.chars().nfkc().default_case_fold().nfkc().collect()
    }

    /// The display form, in NFKC. Compare names with [`RoomName::key`].
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The display name of a user. Not unique: ids distinguish users of the same name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UserName(String);

impl UserName {
    /// Parses a name: NFC, white space collapsed, 1 to 32 characters.
    ///
    /// Rejects control and invisible characters, and characters that could forge a line of plain text: `:` (a line is
    /// `name: text`), a leading `*` (a notice is `* text`), and a leading `/`.
    pub fn new(text: &str) -> Result<Self, InvalidName> {
        let limit = Limits::USER_NAME_CHARS;
        let found = text.trim().chars().count();
        // Bounded before normalization, which may shorten a name: decomposed characters become one.
        if found > limit as usize * 4 {
            return Err(InvalidName::TooLong { found, limit });
        }
        let mut name = String::with_capacity(text.len());
        for word in text.split_whitespace() {
            if !name.is_empty() {
                name.push(' ');
            }
            match is_nfc_quick(word.chars()) {
                IsNormalized::Yes => name.push_str(word),
                _ => name.extend(word.nfc()),
            }
        }
        for (at, c) in name.chars().enumerate() {
            let leading = at == 0 && (c == '*' || c == '/' || is_combining_mark(c));
            if c.is_control() || c == ':' || c == '：' || leading || is_invisible(c) {
                return Err(InvalidName::Character(c));
            }
        }
        let found = name.chars().count();
        match found {
            0 => Err(InvalidName::Empty),
            _ if found > limit as usize => Err(InvalidName::TooLong { found, limit }),
            _ => Ok(UserName(name)),
        }
    }

    /// The display form, in NFC and without surrounding or repeated white space.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Characters that are invisible or change the text direction, by which a name could imitate another. The zero-width joiner
/// and the variation selectors are allowed, because emoji require them.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180E}'
        | '\u{200B}' | '\u{200C}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
        | '\u{3164}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
}

/// A reference to a room in a command: its id or its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RoomRef {
    /// A text of the form of an id, such as `"r1"`.
    Id(RoomId),
    /// Any other text, such as `"lobby"`.
    Name(RoomName),
}

impl FromStr for RoomRef {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        match text.parse() {
            Ok(id) => Ok(RoomRef::Id(id)),
            Err(_) => RoomName::new(text).map(RoomRef::Name),
        }
    }
}

impl fmt::Display for RoomRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RoomRef::Id(id) => id.fmt(f),
            RoomRef::Name(name) => name.fmt(f),
        }
    }
}

macro_rules! name_on_the_wire {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::new(&text).map_err(D::Error::custom)
            }
        }
    )*};
}
name_on_the_wire!(RoomName, UserName);

impl Serialize for RoomRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn room_key_ignores_case_and_width() {
        let key = |text: &str| RoomName::new(text).unwrap().key();
        assert_eq!(key("Tea"), key("ｔｅａ"));
        assert_eq!(key("STRASSE"), key("straße"));
        assert_eq!(key("ΣΊΣΥΦΟΣ"), key("σίσυφος"));
        assert_eq!(key("#茶馆"), "茶馆");
        assert_ne!(key("茶馆"), key("茶館"));
    }

    #[test]
    fn room_name_allows_letters_and_digits_of_any_script() {
        for valid in
            ["lobby", "茶馆", "чай", "हिन्दी", "café-2", "_", "٣", "r", "r1x", "x".repeat(64).as_str()]
        {
            assert!(RoomName::new(valid).is_ok(), "{valid}");
        }
        for invalid in [
            "",
            " ",
            "#",
            "a b",
            "a/b",
            "a:b",
            "<b>",
            "😀",
            "a\u{202e}b",
            "a\0",
            "\u{301}a",
            "..",
            "x".repeat(65).as_str(),
        ] {
            assert!(RoomName::new(invalid).is_err(), "{invalid:?}");
        }
    }

    #[test]
    fn room_name_that_looks_like_an_id_is_rejected() {
        for invalid in ["r1", "R12", "ｒ1", "r007", "r18446744073709551616"] {
            assert_eq!(RoomName::new(invalid), Err(InvalidName::LooksLikeId), "{invalid}");
        }
    }

    #[test]
    fn user_name_allows_any_script_emoji_and_quotes() {
        for (text, name) in
            [("李雷", "李雷"), ("  Han  Meimei ", "Han Meimei"), ("👩‍🚀", "👩‍🚀"), ("O'Brien", "O'Brien")]
        {
            assert_eq!(UserName::new(text).unwrap().as_str(), name);
        }
    }

    #[test]
    fn user_name_that_could_forge_a_line_is_rejected() {
        for invalid in [
            "",
            " ",
            "a:b",
            "a：b",
            "* Li",
            "/Li",
            "a\u{7}",
            "a\u{202e}b",
            "\u{200b}",
            "\u{3164}",
            &"x".repeat(33),
        ] {
            assert!(UserName::new(invalid).is_err(), "{invalid:?}");
        }
        assert_eq!(UserName::new("a\nb").unwrap().as_str(), "a b");
    }

    proptest! {
        #[test]
        fn parsed_name_is_within_limits_and_stable(text in "\\PC*") {
            if let Ok(name) = RoomName::new(&text) {
                prop_assert!((1..=64).contains(&name.as_str().chars().count()));
                prop_assert_eq!(RoomName::new(name.as_str()), Ok(name.clone()));
                let key = name.key();
                prop_assert_eq!(RoomName::new(&key).map(|again| again.key()), Ok(key));
            }
            if let Ok(name) = UserName::new(&text) {
                prop_assert!((1..=32).contains(&name.as_str().chars().count()));
                prop_assert_eq!(UserName::new(name.as_str()), Ok(name));
            }
        }
    }
}
