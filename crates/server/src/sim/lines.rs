//! Somebody with a plain-text tool: says lines, hears lines. It keeps no cursor, so what can be held against the server is what
//! one connection hears in one room: every message from the first one on, in order, or a notice of a gap.

use std::collections::HashMap;

use protocol::{RoomId, Seq};
use storage::TokenHash;

use super::client::ROOMS;
use super::rng::Rng;
use crate::encoding::notice_line;
use crate::i18n::{Language, i18n};

pub(super) struct LineClient {
    number: u64,
    pub(super) session: Option<TokenHash>,
    pub(super) language: Language,
    next_line: u64,
    /// The words by which messages are known, as they were heard without a notice between that speaks of another room or of a
    /// gap.
    heard: Vec<Vec<String>>,
}

/// Where messages stand, by the word they begin with: in which room, and which of its messages.
pub(super) type Index = HashMap<String, (RoomId, u64)>;

impl LineClient {
    pub(super) fn new(number: u64, session: Option<TokenHash>, language: Language) -> Self {
        LineClient { number, session, language, next_line: 0, heard: Vec::new() }
    }

    /// A line came.
    pub(super) fn take(&mut self, line: &str) {
        let i18n = i18n(self.language);
        if line.starts_with("* ") {
            let gap = notice_line(&(i18n.gap)(Seq(1), Seq(2), "?"));
            // Up to the first number.
            let gap = &gap[..gap.find('1').unwrap_or(gap.len())];
            let arrives = ROOMS.iter().any(|room| line == notice_line(&(i18n.you_are_in)(room)));
            if arrives || line.starts_with(gap) {
                self.heard.push(Vec::new());
            }
            return;
        }
        let Some((_, said)) = line.split_once(": ") else { panic!("neither a notice nor said: {line}") };
        let word = said.split(' ').next().unwrap_or_default().to_owned();
        let Some(heard) = self.heard.last_mut() else { panic!("promise 6: in no room, and hears {line}") };
        heard.push(word);
    }

    /// What it heard is held against what is stored.
    pub(super) fn check(&self, index: &Index) {
        for heard in &self.heard {
            let places: Vec<(RoomId, u64)> = heard
                .iter()
                .map(|word| {
                    *index.get(word).unwrap_or_else(|| panic!("promise 1: heard, not stored: {word}"))
                })
                .collect();
            for (pair, words) in places.windows(2).zip(heard.windows(2)) {
                let follows = pair[1].1 == pair[0].1 + 1 && pair[0].0 == pair[1].0;
                assert!(follows, "promise 2: a line client heard {words:?}, which are {pair:?}");
            }
        }
    }

    /// The last message that it heard where it is now.
    pub(super) fn last(&self) -> Option<&str> {
        self.heard.last()?.last().map(String::as_str)
    }

    /// The connection has ended.
    pub(super) fn forget(&mut self) {
        self.heard.clear();
    }

    /// Something that a person does.
    pub(super) fn act(&mut self, rng: &mut Rng) -> String {
        match rng.below(20) {
            0 | 1 => format!("/join {}", rng.of(&ROOMS)),
            2 => "/leave".to_owned(),
            3 => "/who".to_owned(),
            4 => "/rooms".to_owned(),
            5 => format!("/name line {}", rng.below(9)),
            _ => {
                self.next_line += 1;
                format!("l{}-{} said", self.number, self.next_line)
            }
        }
    }
}
