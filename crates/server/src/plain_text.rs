//! Plain text: the same rooms, for any WebSocket tool and for the page of the classic tutorial. What is said comes and goes
//! as lines; everything else is a notice, which begins with `* `.

use protocol::{
    Beside, CommandId, ErrorCode, ErrorFrame, MessageBody, Outcome, Person, RoomName, RoomRef, Rooms,
    ServerFrame, UserName, Who,
};
use domain::Spending;
use domain::slash::{Line, parse};

use crate::arrival::Speaks;
use crate::commands;
use crate::shard::{ConnKey, Link, Outside, Shard};
use crate::texts::{Language, texts};

/// A line client sends no ids; these replies are for it all the same.
const NO_ID: Option<CommandId> = None;

/// The first lines on a connection; and the lobby.
pub(crate) fn greet<L: Link, O: Outside>(
    shard: &mut Shard<L, O>,
    of: ConnKey,
    language: Language,
    you: &Person,
) {
    notice(shard, of, &(texts(language).welcome)(you.name.as_str(), RoomName::LOBBY));
    commands::join_without_cursor(shard, of, commands::lobby());
}

/// A line from a client.
pub(crate) fn handle_line<L: Link, O: Outside>(
    shard: &mut Shard<L, O>,
    of: ConnKey,
    language: Language,
    line: &str,
) {
    let texts = texts(language);
    let Some(room) =
        shard.connection(of).and_then(|connection| connection.lines.as_ref()).map(|lines| lines.room.clone())
    else {
        return;
    };
    // A tool that sends what was typed up to and with the Enter means the line.
    let line = line.strip_suffix('\n').unwrap_or(line);
    let line = line.strip_suffix('\r').unwrap_or(line);
    let parsed = parse(line);
    let cost = match parsed {
        Line::Say(_) => Spending::Message,
        Line::Join(_) | Line::Leave => Spending::Join,
        _ => Spending::Other,
    };
    if !commands::spend(shard, of, NO_ID, cost) {
        return;
    }
    match parsed {
        Line::Say(text) => match MessageBody::new(text, shard.settings.limits.body_bytes) {
            Ok(body) => commands::send(shard, of, NO_ID, room, None, body),
            Err(error) => {
                let code = protocol::FrameError::from(error).code;
                shard.refuse_code(of, NO_ID, code);
            }
        },
        Line::Join(name) => match name.parse::<RoomRef>() {
            Ok(room) => talk_in(shard, of, room),
            Err(_) => shard.refuse_code(of, NO_ID, ErrorCode::InvalidName),
        },
        Line::Leave => {
            if let Some(lines) = shard.connection(of).and_then(|connection| connection.lines.as_mut()) {
                lines.allowed = None;
            }
            commands::leave(shard, of, NO_ID, room);
            talk_in(shard, of, commands::lobby());
        }
        Line::Name(name) => match UserName::new(&name) {
            Ok(name) => commands::rename(shard, of, NO_ID, name),
            Err(_) => shard.refuse_code(of, NO_ID, ErrorCode::InvalidName),
        },
        Line::Who => commands::who(shard, of, NO_ID, &Who { room, after: None, limit: None }),
        Line::Rooms => commands::rooms(shard, of, NO_ID, Rooms::default()),
        Line::Help => {
            for line in texts.help {
                notice(shard, of, line);
            }
        }
        Line::Unknown(word) => notice(shard, of, &(texts.error)(&(texts.unknown_command)(&shown(&word)))),
        Line::Incomplete(command) => notice(shard, of, &(texts.error)(&(texts.incomplete)(command))),
    }
}

/// A word from outside, as it goes back there: on one line, without what steers a terminal, and no longer than words are.
fn shown(word: &str) -> String {
    domain::one_line(word).chars().take(32).collect()
}

/// What is said from now on is said there. The room that was open closes when this one opens.
fn talk_in<L: Link, O: Outside>(shard: &mut Shard<L, O>, of: ConnKey, room: RoomRef) {
    if let Some(lines) = shard.connection(of).and_then(|connection| connection.lines.as_mut()) {
        lines.room = room.clone();
    }
    commands::join_without_cursor(shard, of, room);
}

/// When no join waits for an answer any more, what is said is said where the last one led that was allowed: that room is
/// open, or will be when the log has come so far.
pub(crate) fn join_answered<L: Link, O: Outside>(shard: &mut Shard<L, O>, of: ConnKey) {
    let Some(connection) = shard.connection(of) else { return };
    let open = connection.memberships.first().map(|membership| membership.room);
    let Some(lines) = &mut connection.lines else { return };
    lines.asked = lines.asked.saturating_sub(1);
    if lines.asked > 0 {
        return;
    }
    let allowed = lines.allowed.clone();
    let Some(room) = allowed.or_else(|| Some(RoomRef::Id(shard.rooms[open?].id))) else { return };
    if let Some(lines) = shard.connection(of).and_then(|connection| connection.lines.as_mut()) {
        lines.room = room;
    }
}

/// The last line before a goodbye.
pub(crate) fn say_stopping<L: Link, O: Outside>(shard: &mut Shard<L, O>, of: ConnKey) {
    if let Some(Speaks::PlainText(language)) = shard.connection(of).map(|connection| connection.speaks) {
        notice(shard, of, texts(language).stopping);
    }
}

fn notice<L: Link, O: Outside>(shard: &mut Shard<L, O>, of: ConnKey, text: &str) {
    shard.say_bytes(of, &websocket::text_frame(notice_line(text).as_bytes()));
}

/// A line that no message can look like: no name begins with a star.
pub(crate) fn notice_line(text: &str) -> String {
    format!("* {text}")
}

/// What a line client hears of a frame, line by line; `room` is the one that a `gap` is about.
pub(crate) fn lines_of(frame: &ServerFrame, room: Option<&RoomName>, language: Language) -> Vec<String> {
    let texts = texts(language);
    let ServerFrame::Beside(frame) = frame else { return Vec::new() };
    let notices = match frame {
        Beside::Joined(joined) => vec![(texts.you_are_in)(joined.name.as_str())],
        Beside::Gap(gap) => vec![(texts.gap)(gap.from, gap.to, room.map_or("?", RoomName::as_str))],
        Beside::Error(error) => vec![refusal(error, language)],
        Beside::Ok(ok) => match &ok.outcome {
            Outcome::People(page) => {
                let names: Vec<&str> = page.people.iter().map(|person| person.name.as_str()).collect();
                vec![(texts.who)(&names, page.count)]
            }
            Outcome::Rooms(page) if page.rooms.is_empty() => vec![texts.no_rooms.to_owned()],
            Outcome::Rooms(page) => {
                let mut lines: Vec<String> =
                    page.rooms.iter().map(|room| (texts.room)(room.name.as_str(), room.count)).collect();
                if page.next.is_some() {
                    lines.push(texts.and_more.to_owned());
                }
                lines
            }
            _ => Vec::new(),
        },
        Beside::Welcome(_) | Beside::Reset(_) | Beside::Presence(_) | Beside::Typing(_) => Vec::new(),
    };
    notices.iter().map(|text| notice_line(text)).collect()
}

fn refusal(error: &ErrorFrame, language: Language) -> String {
    let texts = texts(language);
    (texts.error)((texts.refusal)(error.code))
}

#[cfg(test)]
mod tests {
    use protocol::{Gap, RoomId, Seq};

    use super::*;

    #[test]
    fn a_gap_is_a_line_that_says_so_in_both_languages() {
        let gap = ServerFrame::from(Gap { room: RoomId(1), from: Seq(59), to: Seq(1812) });
        let lobby = RoomName::new("lobby").unwrap();
        for language in [Language::En, Language::Zh] {
            let lines = lines_of(&gap, Some(&lobby), language);
            assert_eq!(lines.len(), 1);
            let line = &lines[0];
            assert!(
                line.starts_with("* ")
                    && line.contains("59")
                    && line.contains("1812")
                    && line.contains("lobby"),
                "{line}"
            );
        }
    }

    #[test]
    fn a_word_that_is_no_command_does_not_steer_the_terminal_of_whoever_typed_it() {
        assert_eq!(shown("dance"), "dance");
        assert_eq!(shown("\u{1b}[2J\u{85}\u{202e}x"), " [2J x");
        assert_eq!(shown(&"茶".repeat(20_000)).chars().count(), 32);
    }

    #[test]
    fn every_refusal_has_a_line_in_both_languages() {
        for &code in ErrorCode::ALL {
            let frame = ServerFrame::from(ErrorFrame::new(None, code, "for programmers"));
            let lines = |language| lines_of(&frame, None, language);
            assert_ne!(lines(Language::En), lines(Language::Zh), "{code}");
        }
    }
}
