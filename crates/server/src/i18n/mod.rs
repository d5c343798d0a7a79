//! What the server itself says to people, in their language: notices to plain-text clients, and the page that stands in
//! for the web client. (The web client has dictionaries of its own; errors in JSON are for programmers, and in English.)
//!
//! A dictionary is a value of [`Texts`]: a text that one language lacks does not compile.

mod en;
mod zh;

use protocol::{ErrorCode, Seq};

/// A language that the server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Language {
    /// English
    En,
    /// Chinese, in simplified characters
    Zh,
}

impl Language {
    /// What `Accept-Language` likes best of what there is (RFC 9110, 12.5.4); English if it likes neither.
    pub(crate) fn from_accept_language(header: &str) -> Self {
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
}

/// The dictionary of a language.
pub(crate) fn i18n(language: Language) -> &'static Texts {
    match language {
        Language::En => &en::TEXTS,
        Language::Zh => &zh::TEXTS,
    }
}

/// Everything the server says to people. Notices are without the `* ` before them.
pub(crate) struct Texts {
    /// For `<html lang>`.
    pub(crate) tag: &'static str,
    /// (names, count): who became members of the room one talks in; the names may be fewer than the count.
    pub(crate) joined: fn(&[&str], usize) -> String,
    /// (name) is a member no more.
    pub(crate) left: fn(&str) -> String,
    /// (was, name)
    pub(crate) renamed: fn(&str, &str) -> String,
    /// (topic): the topic of the room one has joined.
    pub(crate) topic: fn(&str) -> String,
    /// (name, topic): somebody changed the topic; an empty one was removed.
    pub(crate) topic_changed: fn(&str, &str) -> String,
    /// (from, to, room): events that were not written out.
    pub(crate) gap: fn(Seq, Seq, &str) -> String,
    /// (name, room): the first line on a connection.
    pub(crate) welcome: fn(&str, &str) -> String,
    /// (room): where one talks from now on.
    pub(crate) you_are_in: fn(&str) -> String,
    /// (names, count): who is online; the names may be fewer than the count.
    pub(crate) who: fn(&[&str], u32) -> String,
    /// (name, online): one line of the list of rooms.
    pub(crate) room: fn(&str, u32) -> String,
    /// There are no rooms to list.
    pub(crate) no_rooms: &'static str,
    /// More than fits; the rest is not shown.
    pub(crate) and_more: &'static str,
    /// The answer to `/help`, line by line.
    pub(crate) help: &'static [&'static str],
    /// (what is wrong): a refusal.
    pub(crate) error: fn(&str) -> String,
    /// What is wrong, for each code.
    pub(crate) refusal: fn(ErrorCode) -> &'static str,
    /// (word): no command has this name.
    pub(crate) unknown_command: fn(&str) -> String,
    /// (command): it lacks its argument.
    pub(crate) incomplete: fn(&str) -> String,
    /// The server stops.
    pub(crate) stopping: &'static str,
    /// The page that stands in for the web client.
    pub(crate) page: PageTexts,
}

/// The page that is served when the server was built without the web client.
pub(crate) struct PageTexts {
    /// What is the matter.
    pub(crate) title: &'static str,
    /// What works all the same.
    pub(crate) works: &'static str,
    /// Before the command that builds it.
    pub(crate) build: &'static str,
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
    fn every_line_command_is_in_the_help() {
        for language in [Language::En, Language::Zh] {
            let help = i18n(language).help.join("\n");
            for command in ["/join", "/leave", "/name", "/topic", "/who", "/rooms", "/help", "//"] {
                assert!(help.contains(command), "{language:?} {command}");
            }
        }
    }

    #[test]
    fn every_text_is_one_line_and_is_translated() {
        let all = |language| {
            let t = i18n(language);
            let mut all = vec![
                (t.joined)(&["Li"], 1),
                (t.joined)(&["Li", "Ann"], 2),
                (t.joined)(&["Li", "Ann"], 5),
                (t.left)("Li"),
                (t.renamed)("Li", "Lei"),
                (t.topic)("Tea"),
                (t.topic_changed)("Li", "Tea"),
                (t.topic_changed)("Li", ""),
                (t.gap)(Seq(59), Seq(1812), "lobby"),
                (t.welcome)("Li", "lobby"),
                (t.you_are_in)("lobby"),
                (t.who)(&["Li", "Ann"], 5),
                (t.room)("lobby", 3),
                t.no_rooms.to_owned(),
                t.and_more.to_owned(),
                (t.error)("x"),
                (t.unknown_command)("brew"),
                (t.incomplete)("join"),
                t.stopping.to_owned(),
                t.page.title.to_owned(),
                t.page.works.to_owned(),
                t.page.build.to_owned(),
            ];
            all.extend(ErrorCode::ALL.iter().map(|code| (t.refusal)(*code).to_owned()));
            all.extend(t.help.iter().map(|line| (*line).to_owned()));
            all
        };
        for (en, zh) in all(Language::En).into_iter().zip(all(Language::Zh)) {
            assert_ne!(en, zh);
            for text in [en, zh] {
                assert!(!text.is_empty() && !text.chars().any(char::is_control), "{text:?}");
            }
        }
    }

    #[test]
    fn gap_text_matches_the_protocol_document() {
        let t = i18n(Language::En);
        assert_eq!((t.gap)(Seq(59), Seq(1812), "lobby"), "missed 59 to 1812 in lobby");
        assert_eq!((t.joined)(&["Ann"], 1), "Ann joined");
        assert_eq!((t.error)((t.refusal)(ErrorCode::RateLimited)), "error: too often; wait a moment");
    }

    #[test]
    fn truncated_list_has_the_missing_count() {
        assert_eq!((i18n(Language::En).who)(&["Li", "Ann"], 2), "2 online: Li, Ann");
        assert_eq!((i18n(Language::En).who)(&["Li", "Ann"], 5), "5 online: Li, Ann and 3 more");
        assert_eq!((i18n(Language::Zh).who)(&["李雷", "Ann"], 2), "2 人在线：李雷、Ann");
        assert_eq!((i18n(Language::Zh).who)(&["李雷", "Ann"], 5), "5 人在线：李雷、Ann 等");
    }
}
