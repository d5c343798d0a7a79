//! A plain-text client. It keeps no cursor, so the checks apply to what one connection receives in one room: every message from
//! the first one on, in order, or a notice of a gap.

use std::collections::HashMap;

use domain::TokenHash;
use protocol::{RoomId, Seq};

use super::client::ROOMS;
use super::rng::Rng;
use crate::encoding::notice_line;
use crate::i18n::Language;

pub(super) struct LineClient {
    number: u64,
    pub(super) session: Option<TokenHash>,
    pub(super) language: Language,
    next_line: u64,
    /// The keys of the received messages, in segments that end with a change of room or with a gap. The key of a message is its
    /// first word.
    received: Vec<Vec<String>>,
}

/// The room and the message number of each stored message, by its key.
pub(super) type MessageIndex = HashMap<String, (RoomId, u64)>;

impl LineClient {
    pub(super) fn new(number: u64, session: Option<TokenHash>, language: Language) -> Self {
        LineClient { number, session, language, next_line: 0, received: Vec::new() }
    }

    pub(super) fn receive(&mut self, line: &str) {
        if line.starts_with("* ") {
            let gap = notice_line(&self.language.plain_gap(Seq(1), "?", Seq(2)));
            // The text before the first number.
            let gap = &gap[..gap.find('1').unwrap_or(gap.len())];
            let is_room_change =
                ROOMS.iter().any(|room| line == notice_line(&self.language.plain_you_are_in(room)));
            if is_room_change || line.starts_with(gap) {
                self.received.push(Vec::new());
            }
            return;
        }
        let Some((_, body)) = line.split_once(": ") else { panic!("neither a notice nor a message: {line}") };
        let key = body.split(' ').next().unwrap_or_default().to_owned();
        let Some(received) = self.received.last_mut() else {
            panic!("promise 6: in no room, and receives {line}")
        };
        received.push(key);
    }

    /// Compares the received messages with the stored ones.
    pub(super) fn check(&self, index: &MessageIndex) {
        for received in &self.received {
            let positions: Vec<(RoomId, u64)> = received
                .iter()
                .map(|key| {
                    *index.get(key).unwrap_or_else(|| panic!("promise 1: received, not stored: {key}"))
                })
                .collect();
            for (pair, keys) in positions.windows(2).zip(received.windows(2)) {
                let follows = pair[1].1 == pair[0].1 + 1 && pair[0].0 == pair[1].0;
                assert!(follows, "promise 2: a text client received {keys:?}, which are {pair:?}");
            }
        }
    }

    /// The key of the last received message in the current room.
    pub(super) fn last_received(&self) -> Option<&str> {
        self.received.last()?.last().map(String::as_str)
    }

    /// Clears the received messages, because the connection has ended.
    pub(super) fn clear_received(&mut self) {
        self.received.clear();
    }

    /// A random line of a user.
    pub(super) fn act(&mut self, rng: &mut Rng) -> String {
        match rng.below(20) {
            0 | 1 => format!("/join {}", rng.pick(&ROOMS)),
            2 => "/leave".to_owned(),
            3 => "/who".to_owned(),
            4 => "/rooms".to_owned(),
            5 => format!("/name line {}", rng.below(9)),
            _ => {
                self.next_line += 1;
                format!("l{}-{} text", self.number, self.next_line)
            }
        }
    }
}
