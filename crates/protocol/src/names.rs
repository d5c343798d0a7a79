//! The rules of names. Rooms are found by a key that ignores case and width, so that `Tea`, `tea` and `ｔｅａ` are one.

use std::fmt;
use std::str::FromStr;

use caseless::Caseless;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use unicode_normalization::char::is_combining_mark;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick, is_nfkc_quick};

use crate::{Limits, RoomId};

/// Why a text is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Nothing is left of it.
    #[error("a name cannot be empty")]
    Empty,
    /// More than [`Limits::ROOM_NAME_CHARS`] or [`Limits::USER_NAME_CHARS`].
    #[error("a name of {found} characters is too long: at most {limit}")]
    TooLong {
        /// Characters found.
        found: usize,
        /// Characters allowed.
        limit: u32,
    },
    /// A character that may not stand in such a name.
    #[error("a name cannot contain {0:?} there")]
    Character(char),
    /// A room called `r12` could not be told from the room with that id.
    #[error("a room's name cannot look like a room's id")]
    LooksLikeId,
}

/// A room's name as people write it: letters and digits of any script, `-` and `_`, in NFKC.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RoomName(String);

impl RoomName {
    /// The room that everybody finds, and that never goes.
    pub const LOBBY: &'static str = "lobby";

    /// Reads a name, bringing it into NFKC. Space around it is dropped, as is a leading `#`.
    pub fn new(text: &str) -> Result<Self, InvalidName> {
        let text = text.trim();
        let text = text.strip_prefix('#').unwrap_or(text);
        // Bounded before it is normalized: one character may become eighteen.
        let found = text.chars().count();
        if found > Limits::ROOM_NAME_CHARS as usize {
            return Err(InvalidName::TooLong { found, limit: Limits::ROOM_NAME_CHARS });
        }
        // As almost all are, in every script; and a name is read with each message of its owner.
        let name: String = match is_nfkc_quick(text.chars()) {
            IsNormalized::Yes => text.to_owned(),
            _ => text.nfkc().collect(),
        };
        let found = name.chars().count();
        if found > Limits::ROOM_NAME_CHARS as usize {
            return Err(InvalidName::TooLong { found, limit: Limits::ROOM_NAME_CHARS });
        }
        for (at, c) in name.chars().enumerate() {
            // Marks carry the vowels of many scripts; one needs a letter to stand on.
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
        // Also what is no id, such as `r007`: people read it as one.
        let key = name.key();
        if key
            .strip_prefix('r')
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
        {
            return Err(InvalidName::LooksLikeId);
        }
        Ok(name)
    }

    /// What names are compared by: NFKC, case-folded (Unicode 5.18, "caseless matching").
    #[must_use]
    pub fn key(&self) -> String {
        self.0.chars().nfkc().default_case_fold().nfkc().collect()
    }

    /// The name as it is shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What people call somebody. Not unique: the id tells two of the same name apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UserName(String);

impl UserName {
    /// Reads a name: NFC, space around it dropped and runs of space inside made one, 1 to 32 characters.
    ///
    /// Refused are control and invisible characters, and what would let one forge a line of plain text: `:` (a line is
    /// `name: text`), and a leading `*` (a notice is `* text`) or `/`.
    pub fn new(text: &str) -> Result<Self, InvalidName> {
        let limit = Limits::USER_NAME_CHARS;
        let found = text.trim().chars().count();
        // Bounded before it is normalized.
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

    /// The name as it is shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Characters that show nothing or turn the direction of what follows: with them two names look the same, or a line
/// looks like another's. The zero-width joiner and the variation selectors stay: emoji are made with them.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180E}'
        | '\u{200B}' | '\u{200C}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
        | '\u{3164}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
}

/// How a command names a room: by its id, or by its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RoomRef {
    /// `"r1"`.
    Id(RoomId),
    /// `"lobby"`.
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
    fn rooms_are_found_whatever_the_case_or_width() {
        let key = |text: &str| RoomName::new(text).unwrap().key();
        assert_eq!(key("Tea"), key("ｔｅａ"));
        assert_eq!(key("STRASSE"), key("straße"));
        assert_eq!(key("ΣΊΣΥΦΟΣ"), key("σίσυφος"));
        assert_eq!(key("#茶馆"), "茶馆");
        assert_ne!(key("茶馆"), key("茶館"));
    }

    #[test]
    fn a_room_name_holds_letters_and_digits_of_any_script() {
        for good in ["lobby", "茶馆", "чай", "हिन्दी", "café-2", "_", "٣", "r", "r1x", "x".repeat(64).as_str()]
        {
            assert!(RoomName::new(good).is_ok(), "{good}");
        }
        for bad in [
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
            assert!(RoomName::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_room_name_cannot_pass_for_an_id() {
        for bad in ["r1", "R12", "ｒ1", "r007", "r18446744073709551616"] {
            assert_eq!(RoomName::new(bad), Err(InvalidName::LooksLikeId), "{bad}");
        }
    }

    #[test]
    fn a_person_may_be_called_almost_anything() {
        for (text, name) in
            [("李雷", "李雷"), ("  Han  Meimei ", "Han Meimei"), ("👩‍🚀", "👩‍🚀"), ("O'Brien", "O'Brien")]
        {
            assert_eq!(UserName::new(text).unwrap().as_str(), name);
        }
    }

    #[test]
    fn a_name_cannot_forge_a_line() {
        for bad in [
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
            assert!(UserName::new(bad).is_err(), "{bad:?}");
        }
        assert_eq!(UserName::new("a\nb").unwrap().as_str(), "a b");
    }

    proptest! {
        #[test]
        fn any_text_is_a_name_or_a_clear_error(text in "\\PC*") {
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
