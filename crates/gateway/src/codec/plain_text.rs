//! Plain text: the same rooms, for any WebSocket tool. Messages are lines in both directions; everything else is a notice, which
//! begins with `* `.
//!
//! Such a client keeps no cursors and sends no ids: the codec's state replaces both. It has one room open at a time.

use domain::slash::{HELP, Line, commands, parse};
use domain::{CommandError, RateClass};
use protocol::operations::{Operation, Row, Slash};
use protocol::{
    Command, ControlFrame, ErrorCode, ErrorFrame, FrameError, Join, MessageBody, OkBody, Reply,
    RoomAttributes, RoomId, RoomName, RoomRef, Send, Seq, ServerFrame, Welcome,
};
use serde_json::{Map, Value};

use super::{Charge, Decoded};
use crate::encoding::{Encoding, notice_line};
use crate::i18n::Language;
use crate::operations::{ClientRequest, lobby};

#[derive(Debug)]
pub(crate) struct PlainText {
    language: Language,
    /// The room to which messages go, even before it is open.
    room: RoomRef,
    /// The number of joins without a reply. While there are any, `room` is the one that was requested last.
    unanswered: u32,
    /// The room of the last join that was granted.
    granted: Option<RoomRef>,
    /// The number of granted joins. Of those that still wait for the log, only the last one opens its room.
    joins: u32,
    /// The room that was opened last, for notices that name it.
    opened: Option<(RoomId, RoomName)>,
    /// The room that is open, and the read position that the store has.
    stored: Option<(RoomId, Seq)>,
}

impl PlainText {
    pub(super) fn new(language: Language) -> Self {
        PlainText {
            language,
            room: lobby(),
            unanswered: 0,
            granted: None,
            joins: 0,
            opened: None,
            stored: None,
        }
    }

    pub(super) fn encoding(&self) -> Encoding {
        match self.language {
            Language::En => Encoding::LinesEn,
            Language::Zh => Encoding::LinesZh,
        }
    }

    /// A line of welcome, and a request to join the lobby.
    pub(super) fn on_connect(&mut self, welcome: &Welcome) -> Vec<Decoded> {
        let text = self.language.plain_welcome(&welcome.you.name, RoomName::LOBBY);
        vec![notice(&text), self.switch_room(lobby())]
    }

    pub(super) fn decode(&mut self, line: &str, body_limit: u32, charge: Charge<'_>) -> Vec<Decoded> {
        // Some tools send the line break that ended the input; it is not part of the message.
        let line = line.strip_suffix('\n').unwrap_or(line);
        let line = line.strip_suffix('\r').unwrap_or(line);
        let parsed = parse(line);
        let class = match parsed {
            Line::Message(_) => Send::ROW.rate,
            Line::Command { row, .. } => row.rate,
            Line::Help | Line::Unknown(_) => RateClass::Command,
        };
        if let Err(wait) = charge(class) {
            return vec![Decoded::RateLimited { id: None, wait }];
        }
        match parsed {
            Line::Message(text) => match MessageBody::new(text, body_limit) {
                Ok(body) => vec![request(ClientRequest::Message { room: self.room.clone(), body })],
                Err(error) => vec![rejected(FrameError::from(error).code)],
            },
            Line::Command { row, slash, argument } => self.command(row, slash, argument, body_limit),
            Line::Help => self.help(),
            Line::Unknown(word) => {
                vec![self.failure(&self.language.help_unknown(sanitize_echo(word)))]
            }
        }
    }

    /// A slash command. Its fields are read as those of an HTTP request; the current room is one of them.
    fn command(&mut self, row: &Row, slash: Slash, argument: &str, body_limit: u32) -> Vec<Decoded> {
        // An operation without a room ignores it, as any field that it does not have.
        let mut fields = Map::from_iter([("room".to_owned(), Value::from(self.room.to_string()))]);
        if let Some(field) = slash.argument {
            fields.insert(field.to_owned(), Value::from(argument));
        }
        match Command::from_parameters(row.name, fields, body_limit) {
            Ok(Command::Join(join)) => vec![self.switch_room(join.room)],
            Ok(Command::Leave(leave)) => {
                self.granted = None;
                vec![request(Command::Leave(leave)), self.switch_room(lobby())]
            }
            Ok(command) => vec![request(command)],
            Err(error) => match self.language.slash_missing(slash.word).filter(|_| argument.is_empty()) {
                Some(missing) => vec![self.failure(missing)],
                None => vec![rejected(error.code)],
            },
        }
    }

    fn help(&self) -> Vec<Decoded> {
        let words = commands().map(|(_, slash)| slash.word).chain([HELP]);
        let lines = words.map(|word| self.language.help_line(word));
        let escape = format!("//… - {}", self.language.help_escape());
        lines.chain([escape]).map(|line| notice(&line)).collect()
    }

    /// A notice that a line was not executed.
    fn failure(&self, what: &str) -> Decoded {
        notice(&self.language.plain_error(what))
    }

    /// Later messages go to `room`. The room that is open closes when this one opens.
    fn switch_room(&mut self, room: RoomRef) -> Decoded {
        self.room = room.clone();
        self.unanswered += 1;
        request(Command::Join(Join { room, after: None, epoch: None }))
    }

    pub(super) fn join_granted(&mut self, room: RoomId) -> u32 {
        self.joins += 1;
        self.granted = Some(RoomRef::Id(room));
        self.join_answered(None);
        self.joins
    }

    pub(super) fn join_rejected(&mut self, open: Option<RoomId>) {
        self.join_answered(open);
    }

    /// When every join has its reply, messages go to the room of the last granted one: that room is open, or will be when its log
    /// has reached the join.
    fn join_answered(&mut self, open: Option<RoomId>) {
        self.unanswered = self.unanswered.saturating_sub(1);
        if self.unanswered > 0 {
            return;
        }
        if let Some(room) = self.granted.clone().or(open.map(RoomRef::Id)) {
            self.room = room;
        }
    }

    pub(super) fn is_current_join(&self, join: u32) -> bool {
        self.joins == join
    }

    pub(super) fn stored_position(&self) -> Option<(RoomId, Seq)> {
        self.stored
    }

    pub(super) fn set_stored_position(&mut self, room: RoomId, seq: Seq) {
        self.stored = Some((room, seq));
    }

    /// The last line before the close frame of a stop.
    pub(super) fn stopping(&self) -> Vec<u8> {
        notice_frame(self.language.plain_stopping())
    }

    /// A frame as lines; most frames have none.
    pub(super) fn encode(&mut self, frame: &ServerFrame) -> Vec<u8> {
        if let ServerFrame::ControlFrame(ControlFrame::Joined(joined)) = frame {
            self.opened = Some((joined.info.room, joined.info.name.clone()));
        }
        self.notices(frame).iter().flat_map(|text| notice_frame(text)).collect()
    }

    fn notices(&self, frame: &ServerFrame) -> Vec<String> {
        let language = self.language;
        let ServerFrame::ControlFrame(frame) = frame else { return Vec::new() };
        match frame {
            ControlFrame::Joined(joined) => {
                let mut lines = vec![language.plain_you_are_in(&joined.info.name)];
                lines.extend(room_attributes(&joined.info.attributes, language));
                lines
            }
            ControlFrame::Gap(gap) => {
                let opened = self.opened.as_ref().filter(|(room, _)| *room == gap.room);
                let name = opened.map_or("?", |(_, name)| name.as_str());
                vec![language.plain_gap(gap.from, name, gap.to)]
            }
            ControlFrame::Error(error) => vec![rejection(error, self.language)],
            ControlFrame::Ok(ok) => match &ok.body {
                OkBody::Reply(Reply::Who(page)) => {
                    let names: Vec<&str> = page.users.iter().map(|user| user.name.as_str()).collect();
                    let missing = (page.count as usize).saturating_sub(names.len());
                    let names = names.join(language.list_separator());
                    vec![match missing {
                        0 => language.plain_who(page.count, names),
                        missing => language.plain_who_more(page.count, missing, names),
                    }]
                }
                OkBody::Reply(Reply::Rooms(page)) if page.rooms.is_empty() => {
                    vec![language.plain_no_rooms().to_owned()]
                }
                OkBody::Reply(Reply::Rooms(page)) => {
                    let mut lines: Vec<String> = page
                        .rooms
                        .iter()
                        .map(|room| language.plain_room(room.count, &room.info.name))
                        .collect();
                    if page.next.is_some() {
                        lines.push(language.plain_and_more().to_owned());
                    }
                    lines
                }
                _ => Vec::new(),
            },
            ControlFrame::Welcome(_)
            | ControlFrame::Reset(_)
            | ControlFrame::Presence(_)
            | ControlFrame::Typing(_) => Vec::new(),
        }
    }
}

/// The attributes of a room that have a value, one per line.
fn room_attributes(attributes: &RoomAttributes, language: Language) -> Vec<String> {
    // An attribute without a value is absent.
    let Ok(Value::Object(fields)) = serde_json::to_value(attributes) else { return Vec::new() };
    let line = |(name, value): (&String, &Value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), domain::sanitize_line);
        language.room_attribute(name, |_| value.clone())
    };
    fields.iter().filter_map(line).collect()
}

fn request(request: impl Into<ClientRequest>) -> Decoded {
    Decoded::Request { id: None, request: request.into() }
}

fn rejected(code: ErrorCode) -> Decoded {
    Decoded::Error { id: None, error: CommandError::from(code) }
}

fn notice(text: &str) -> Decoded {
    Decoded::Frames(notice_frame(text))
}

fn notice_frame(text: &str) -> Vec<u8> {
    websocket::text_frame(notice_line(text).as_bytes())
}

/// A word of a client in a form that is safe to send back: one line, without control characters, at most 32 characters.
fn sanitize_echo(word: &str) -> String {
    domain::sanitize_line(word).chars().take(32).collect()
}

fn rejection(error: &ErrorFrame, language: Language) -> String {
    language.plain_error(language.error_text(error.code))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use protocol::{Gap, Joined, MessageCount, RoomInfo, UserName};

    use super::*;

    fn decode(codec: &mut PlainText, line: &str) -> Vec<Decoded> {
        codec.decode(line, 100, &mut |_| Ok(()))
    }

    fn joined(room: u64, name: &str) -> ServerFrame {
        let info = RoomInfo::new(RoomId(room), RoomName::new(name).unwrap());
        let (head, n) = (Seq(0), MessageCount(0));
        Joined { id: None, info, head, n, read: None, count: 1, online: Vec::new() }.into()
    }

    /// The room to which a message goes.
    fn target(codec: &mut PlainText) -> RoomRef {
        match decode(codec, "hello").pop() {
            Some(Decoded::Request { request: ClientRequest::Message { room, .. }, .. }) => room,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn gap_is_a_line_with_the_room_in_both_languages() {
        let gap = ServerFrame::from(Gap { room: RoomId(1), from: Seq(59), to: Seq(1812) });
        for language in [Language::En, Language::Zh] {
            let mut codec = PlainText::new(language);
            codec.encode(&joined(1, "lobby"));
            let lines = codec.notices(&gap);
            assert_eq!(lines.len(), 1);
            let line = &lines[0];
            assert!(line.contains("59") && line.contains("1812") && line.contains("lobby"), "{line}");
        }
    }

    #[test]
    fn users_that_are_not_listed_are_counted() {
        let user =
            |id, name: &str| protocol::User { id: protocol::UserId(id), name: UserName::new(name).unwrap() };
        for (count, en, zh) in [
            (2, "2 online: Li, 李雷", "2 人在线：Li、李雷"),
            (5, "5 online: Li, 李雷 and 3 more", "5 人在线：Li、李雷 和另外 3 人"),
        ] {
            let users = vec![user(1, "Li"), user(2, "李雷")];
            let page = Reply::Who(protocol::UserPage { count, users, next: None });
            let frame = ServerFrame::from(protocol::OkFrame::new(None, page));
            assert_eq!(PlainText::new(Language::En).notices(&frame), [en]);
            assert_eq!(PlainText::new(Language::Zh).notices(&frame), [zh]);
        }
    }

    #[test]
    fn echoed_word_has_no_control_characters() {
        assert_eq!(sanitize_echo("dance"), "dance");
        assert_eq!(sanitize_echo("\u{1b}[2J\u{85}\u{202e}x"), " [2J x");
        assert_eq!(sanitize_echo(&"茶".repeat(20_000)).chars().count(), 32);
    }

    #[test]
    fn every_error_code_has_a_line_in_both_languages() {
        for &code in ErrorCode::ALL {
            let frame = ServerFrame::from(ErrorFrame::new(None, code, "for programmers"));
            let lines = |language| PlainText::new(language).notices(&frame);
            assert_ne!(lines(Language::En), lines(Language::Zh), "{code}");
        }
    }

    #[test]
    fn rate_limited_join_does_not_change_the_room() {
        let mut codec = PlainText::new(Language::En);
        let wait = Duration::from_secs(1);
        let decoded = codec.decode("/join tea", 100, &mut |_| Err(wait));
        assert!(matches!(decoded[..], [Decoded::RateLimited { id: None, .. }]));
        assert_eq!(target(&mut codec), lobby());
    }

    #[test]
    fn rejected_join_returns_to_the_open_room() {
        let mut codec = PlainText::new(Language::En);
        decode(&mut codec, "/join tea");
        assert_eq!(target(&mut codec), RoomRef::Name(RoomName::new("tea").unwrap()));
        codec.join_rejected(Some(RoomId(1)));
        assert_eq!(target(&mut codec), RoomRef::Id(RoomId(1)));
    }

    #[test]
    fn only_the_last_granted_join_counts() {
        let mut codec = PlainText::new(Language::En);
        decode(&mut codec, "/join tea");
        decode(&mut codec, "/join cake");
        let (tea, cake) = (codec.join_granted(RoomId(2)), codec.join_granted(RoomId(3)));
        assert!(!codec.is_current_join(tea) && codec.is_current_join(cake));
        assert_eq!(target(&mut codec), RoomRef::Id(RoomId(3)));
    }

    #[test]
    fn leave_returns_to_the_lobby() {
        let mut codec = PlainText::new(Language::En);
        let decoded = decode(&mut codec, "/leave");
        let is = |decoded: &Decoded, wanted: fn(&Command) -> bool| match decoded {
            Decoded::Request { request: ClientRequest::Command(command), .. } => wanted(command),
            _ => false,
        };
        assert!(is(&decoded[0], |command| matches!(command, Command::Leave(_))));
        assert!(is(&decoded[1], |command| matches!(command, Command::Join(join) if join.room == lobby())));
    }
}
