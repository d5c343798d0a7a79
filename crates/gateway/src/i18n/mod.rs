//! The texts that the server itself sends to users: notices to plain-text clients, and the page that is served without the web
//! client. `cargo xtask generate` writes `generated.rs` from `texts/*.toml`: a method of [`Language`] for each text. Errors in
//! JSON are for programmers, and in English.

mod generated;

use protocol::ErrorCode;

/// The languages of the server's texts; each text exists in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Language {
    /// English
    En,
    /// Chinese, in simplified characters
    Zh,
}

impl Language {
    /// The language with the highest weight in `Accept-Language` (RFC 9110, 12.5.4); English if there is neither.
    pub fn from_accept_language(header: &str) -> Self {
        let mut best = (0.0, Language::En);
        // A header is at most a few KiB; among equals the first wins.
        for range in header.split(',') {
            let (tag, parameters) = range.split_once(';').unwrap_or((range, ""));
            let weight = match parameters.trim().strip_prefix("q=") {
                Some(weight) => weight.parse::<f32>().unwrap_or(0.0),
                None => 1.0,
            };
            let primary = tag.trim().split('-').next().unwrap_or_default();
            let language = match primary.to_ascii_lowercase().as_str() {
                "zh" => Language::Zh,
                "en" | "*" => Language::En,
                _ => continue,
            };
            if weight > best.0 {
                best = (weight, language);
            }
        }
        best.1
    }

    /// The tag for `<html lang>`.
    pub fn tag(self) -> &'static str {
        match self {
            Language::En => "en",
            Language::Zh => "zh-Hans",
        }
    }

    pub(crate) fn error_text(self, code: ErrorCode) -> &'static str {
        // `cargo xtask generate` fails if a code has no text.
        self.error(code.as_str()).unwrap_or_default()
    }

    /// A slash command with its argument and description, as `/help` lists it.
    pub(crate) fn help_line(self, word: &str) -> String {
        let argument = self.slash_argument(word).map(|argument| format!(" {argument}")).unwrap_or_default();
        format!("/{word}{argument} - {}", self.slash(word).unwrap_or_default())
    }

    /// An enumeration of `count` names, of which some may be missing: "Ann, Bob and 3 others".
    pub(crate) fn enumerate(self, names: &[&str], count: usize) -> String {
        let others = match count.saturating_sub(names.len()) {
            0 => None,
            n => Some(self.users_others(n)),
        };
        let mut items: Vec<&str> = names.iter().copied().chain(others.as_deref()).collect();
        let Some(last) = items.pop() else { return String::new() };
        match items.is_empty() {
            true => last.to_owned(),
            false => self.list_last(last, items.join(self.list_separator())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn language_with_highest_weight_is_chosen() {
        for (header, language) in [
            ("", Language::En),
            ("zh", Language::Zh),
            ("zh-CN,zh;q=0.9,en;q=0.8", Language::Zh),
            ("en-GB,en;q=0.9,zh;q=0.8", Language::En),
            ("en;q=0.3, zh-Hant-TW;q=0.5", Language::Zh),
            ("de, zh;q=0.5", Language::Zh),
            ("de", Language::En),
            ("*", Language::En),
            ("zh;q=0", Language::En),
            ("ZH", Language::Zh),
            ("zhx", Language::En),
            (";;;,q=,,=", Language::En),
            ("zh;q=x, en;q=0.1", Language::En),
        ] {
            assert_eq!(Language::from_accept_language(header), language, "{header}");
        }
    }

    #[test]
    fn every_error_code_has_a_text_in_both_languages() {
        for &code in ErrorCode::ALL {
            let [en, zh] = [Language::En, Language::Zh].map(|language| language.error_text(code));
            assert!(!en.is_empty() && !zh.is_empty() && en != zh, "{code}");
        }
    }

    #[test]
    fn enumeration_counts_the_missing_names() {
        let names = ["Ann", "Bob", "李雷"];
        for (names, count, en, zh) in [
            (&names[..0], 0, "", ""),
            (&names[..1], 1, "Ann", "Ann"),
            (&names[..2], 2, "Ann and Bob", "Ann 和 Bob"),
            (&names[..], 3, "Ann, Bob and 李雷", "Ann、Bob 和 李雷"),
            (&names[..2], 3, "Ann, Bob and 1 other", "Ann、Bob 和 另外 1 人"),
            (&names[..2], 97, "Ann, Bob and 95 others", "Ann、Bob 和 另外 95 人"),
        ] {
            assert_eq!(Language::En.enumerate(names, count), en);
            assert_eq!(Language::Zh.enumerate(names, count), zh);
        }
    }

    #[test]
    fn text_replaced_for_plain_text_differs_from_the_page() {
        assert_eq!(Language::En.error_text(ErrorCode::UnknownType), "There is no such command.");
        assert_eq!(Language::En.error_text(ErrorCode::RoomNotFound), "This room does not exist.");
    }

    #[test]
    fn gap_text_matches_the_protocol_document() {
        assert_eq!(Language::En.plain_gap(59, "lobby", 1812), "missed 59 to 1812 in lobby");
    }
}
