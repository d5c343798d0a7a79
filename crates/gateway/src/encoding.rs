//! Events as the bytes of frames, once for each encoding that a connection in the room uses.

use protocol::{Event, EventKind};
use serde_json::Value;

use crate::i18n::Language;

/// How many users a line about a grouped join names; the others are counted.
const NAMED: usize = 5;

/// The encodings that a room's log may be held in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// `teahouse.v1.json`
    Json,
    /// Plain text with notices in English.
    LinesEn,
    /// Plain text with notices in Chinese.
    LinesZh,
}

impl Encoding {
    /// The length of arrays that are indexed by encoding.
    pub(crate) const COUNT: usize = 3;
    /// All encodings, in the order of their numbers.
    pub(crate) const ALL: [Encoding; Self::COUNT] = [Encoding::Json, Encoding::LinesEn, Encoding::LinesZh];
}

/// One JSON object as a text frame, header included.
pub(crate) fn json_frame(frame: &impl serde::Serialize) -> Vec<u8> {
    // Frames contain only maps with text keys, texts and numbers, which serde_json always serializes.
    let payload = serde_json::to_vec(frame).expect("frames contain only what JSON can express");
    websocket::text_frame(&payload)
}

/// An event as a text frame, header included.
pub(crate) fn event_frame(event: &Event, encoding: Encoding) -> Vec<u8> {
    match encoding {
        Encoding::Json => json_frame(event),
        Encoding::LinesEn => websocket::text_frame(line(event, Language::En).as_bytes()),
        Encoding::LinesZh => websocket::text_frame(line(event, Language::Zh).as_bytes()),
    }
}

/// A line that cannot be mistaken for a message, since no name begins with a star.
pub(crate) fn notice_line(text: &str) -> String {
    format!("* {text}")
}

/// An event as a line. Texts that a user chose are one line each, so that nobody can forge the line of another user.
fn line(event: &Event, language: Language) -> String {
    let name = event.by.name.as_str();
    match &event.kind {
        EventKind::Message { body, .. } => format!("{name}: {}", domain::sanitize_line(body.as_str())),
        kind @ EventKind::MemberJoined { also_joined } => {
            let others = also_joined.iter().map(|user| user.name.as_str());
            let names: Vec<&str> = std::iter::once(name).chain(others).take(NAMED).collect();
            system_line(kind, &language.enumerate(&names, also_joined.len() + 1), language)
        }
        kind => system_line(kind, name, language),
    }
}

/// The text `event.TYPE`, with the fields of the event and the name of the user who caused it.
fn system_line(kind: &EventKind, name: &str, language: Language) -> String {
    let fields = serde_json::to_value(kind).unwrap_or_default();
    let of_type = fields["type"].as_str().unwrap_or_default();
    let text = language.event(of_type, |field| match &fields[field] {
        _ if field == "name" => name.to_owned(),
        Value::String(text) => domain::sanitize_line(text),
        Value::Null => String::new(),
        other => other.to_string(),
    });
    // An event of a newer version has no text. It is a line nevertheless, because an entry of a log cannot be empty.
    notice_line(&text.unwrap_or_else(|| format!("{name} [{}]", domain::sanitize_line(of_type))))
}

#[cfg(test)]
mod tests {
    use protocol::{MessageCount, RoomId, Seq, Timestamp, User, UserId, UserName};

    use super::*;

    fn joined(names: &[&str]) -> Event {
        let mut users =
            (1..).zip(names).map(|(n, name)| User { id: UserId(n), name: UserName::new(name).unwrap() });
        let by = users.next().unwrap();
        let kind = EventKind::MemberJoined { also_joined: users.collect() };
        Event { kind, room: RoomId(1), seq: Seq(1), n: MessageCount(0), by, at: Timestamp(0) }
    }

    /// The events of the examples, and those in which a field is this text instead, as far as it is valid there.
    fn events_with(text: &str) -> Vec<Event> {
        let examples =
            protocol::EVENT_EXAMPLES.iter().map(|example| serde_json::from_str::<Value>(example).unwrap());
        let with = |event: &Value, field: &str| {
            let mut event = event.clone();
            event[field] = Value::from(text);
            event
        };
        let events = examples.flat_map(|event| {
            let fields: Vec<String> = event.as_object().unwrap().keys().cloned().collect();
            let changed = fields.into_iter().map(|field| with(&event, &field)).collect::<Vec<_>>();
            [event].into_iter().chain(changed)
        });
        events.filter_map(|event| serde_json::from_value(event).ok()).collect()
    }

    #[test]
    fn event_with_control_characters_is_one_line() {
        for odd in ["a\u{85}b\u{2028}c\u{1b}[2J\u{202e}\r\n* Bob: x", "a\u{202e}b * Bob: x", ""] {
            let events = events_with(odd);
            assert!(events.len() >= protocol::EVENT_EXAMPLES.len());
            for (event, language) in
                events.iter().flat_map(|event| [(event, Language::En), (event, Language::Zh)])
            {
                let line = line(event, language);
                assert_eq!(domain::sanitize_line(&line), line);
                let is_message = matches!(event.kind, EventKind::Message { .. });
                assert_eq!(!is_message, line.starts_with("* "), "{line}");
            }
        }
    }

    #[test]
    fn every_event_of_the_examples_has_a_text() {
        for event in events_with("").iter().filter(|event| !matches!(event.kind, EventKind::Unknown(_))) {
            let line = line(event, Language::En);
            assert!(!line.contains('{') && !line.ends_with(']'), "{line}");
        }
    }

    #[test]
    fn grouped_join_is_one_line_with_at_most_five_names() {
        for (names, en, zh) in [
            (vec!["Ann"], "* Ann joined", "* Ann 进来了"),
            (vec!["Ann", "Bob"], "* Ann and Bob joined", "* Ann 和 Bob 进来了"),
            (vec!["Ann", "Bob", "李雷"], "* Ann, Bob and 李雷 joined", "* Ann、Bob 和 李雷 进来了"),
            (
                vec!["Ann", "Bob", "Cleo", "Dora", "Emil"],
                "* Ann, Bob, Cleo, Dora and Emil joined",
                "* Ann、Bob、Cleo、Dora 和 Emil 进来了",
            ),
            (
                vec!["Ann", "Bob", "Cleo", "Dora", "Emil", "Finn"],
                "* Ann, Bob, Cleo, Dora, Emil and 1 other joined",
                "* Ann、Bob、Cleo、Dora、Emil 和 另外 1 人 进来了",
            ),
            (
                [["Ann", "Bob", "Cleo", "Dora", "Emil"].as_slice(), &["Finn"; 95]].concat(),
                "* Ann, Bob, Cleo, Dora, Emil and 95 others joined",
                "* Ann、Bob、Cleo、Dora、Emil 和 另外 95 人 进来了",
            ),
        ] {
            let event = joined(&names);
            assert_eq!(line(&event, Language::En), en);
            assert_eq!(line(&event, Language::Zh), zh);
        }
    }
}
