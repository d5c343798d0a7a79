//! Plain text: the same rooms, for any WebSocket tool and for the page of the classic tutorial. What is said comes and goes
//! as lines; everything else is a notice, which begins with `* `.

use domain::RateClass;
use domain::slash::{Line, parse};
use protocol::{
    CommandId, CommandResult, ControlFrame, ErrorCode, ErrorFrame, MessageBody, Person, RoomName, RoomRef,
    Rooms, ServerFrame, UserName, Who,
};

use crate::commands;
use crate::encoding::notice_line;
use crate::handoff::WireProtocol;
use crate::i18n::{Language, i18n};
use crate::shard::{ConnKey, Shard, ShardServices, Transport};

/// A line client sends no ids; these replies are for it all the same.
const NO_ID: Option<CommandId> = None;

/// The first lines on a connection; and the lobby.
pub(crate) fn greet<L: Transport, O: ShardServices>(
    shard: &mut Shard<L, O>,
    of: ConnKey,
    language: Language,
    you: &Person,
) {
    notice(shard, of, &(i18n(language).welcome)(you.name.as_str(), RoomName::LOBBY));
    commands::join_without_cursor(shard, of, commands::lobby());
}

/// A line from a client.
pub(crate) fn handle_line<L: Transport, O: ShardServices>(
    shard: &mut Shard<L, O>,
    of: ConnKey,
    language: Language,
    line: &str,
) {
    let i18n = i18n(language);
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
        Line::Say(_) => RateClass::Message,
        Line::Join(_) | Line::Leave => RateClass::Join,
        _ => RateClass::Other,
    };
    if !commands::acquire(shard, of, NO_ID, cost) {
        return;
    }
    match parsed {
        Line::Say(text) => match MessageBody::new(text, shard.settings.limits.body_bytes) {
            Ok(body) => commands::send(shard, of, NO_ID, room, None, body),
            Err(error) => {
                let code = protocol::FrameError::from(error).code;
                shard.send_error_code(of, NO_ID, code);
            }
        },
        Line::Join(name) => match name.parse::<RoomRef>() {
            Ok(room) => switch_room(shard, of, room),
            Err(_) => shard.send_error_code(of, NO_ID, ErrorCode::InvalidName),
        },
        Line::Leave => {
            if let Some(lines) = shard.connection(of).and_then(|connection| connection.lines.as_mut()) {
                lines.allowed = None;
            }
            commands::leave(shard, of, NO_ID, room);
            switch_room(shard, of, commands::lobby());
        }
        Line::Name(name) => match UserName::new(&name) {
            Ok(name) => commands::rename(shard, of, NO_ID, name),
            Err(_) => shard.send_error_code(of, NO_ID, ErrorCode::InvalidName),
        },
        Line::Who => commands::who(shard, of, NO_ID, &Who { room, after: None, limit: None }),
        Line::Rooms => commands::rooms(shard, of, NO_ID, Rooms::default()),
        Line::Help => {
            for line in i18n.help {
                notice(shard, of, line);
            }
        }
        Line::Unknown(word) => {
            notice(shard, of, &(i18n.error)(&(i18n.unknown_command)(&sanitize_echo(&word))))
        }
        Line::Incomplete(command) => notice(shard, of, &(i18n.error)(&(i18n.incomplete)(command))),
    }
}

/// A word from outside, as it goes back there: on one line, without what steers a terminal, and no longer than words are.
fn sanitize_echo(word: &str) -> String {
    domain::sanitize_line(word).chars().take(32).collect()
}

/// What is said from now on is said there. The room that was open closes when this one opens.
fn switch_room<L: Transport, O: ShardServices>(shard: &mut Shard<L, O>, of: ConnKey, room: RoomRef) {
    if let Some(lines) = shard.connection(of).and_then(|connection| connection.lines.as_mut()) {
        lines.room = room.clone();
    }
    commands::join_without_cursor(shard, of, room);
}

/// When no join waits for an answer any more, what is said is said where the last one led that was allowed: that room is
/// open, or will be when the log has come so far.
pub(crate) fn join_answered<L: Transport, O: ShardServices>(shard: &mut Shard<L, O>, of: ConnKey) {
    let Some(connection) = shard.connection(of) else { return };
    let open = connection.subscriptions.first().map(|subscription| subscription.room);
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
pub(crate) fn send_stopping<L: Transport, O: ShardServices>(shard: &mut Shard<L, O>, of: ConnKey) {
    if let Some(WireProtocol::PlainText(language)) = shard.connection(of).map(|connection| connection.speaks)
    {
        notice(shard, of, i18n(language).stopping);
    }
}

fn notice<L: Transport, O: ShardServices>(shard: &mut Shard<L, O>, of: ConnKey, text: &str) {
    shard.send_bytes(of, &websocket::text_frame(notice_line(text).as_bytes()));
}

/// What a line client hears of a frame, line by line; `room` is the one that a `gap` is about.
pub(crate) fn lines_of(frame: &ServerFrame, room: Option<&RoomName>, language: Language) -> Vec<String> {
    let i18n = i18n(language);
    let ServerFrame::ControlFrame(frame) = frame else { return Vec::new() };
    let notices = match frame {
        ControlFrame::Joined(joined) => vec![(i18n.you_are_in)(joined.name.as_str())],
        ControlFrame::Gap(gap) => vec![(i18n.gap)(gap.from, gap.to, room.map_or("?", RoomName::as_str))],
        ControlFrame::Error(error) => vec![refusal(error, language)],
        ControlFrame::Ok(ok) => match &ok.outcome {
            CommandResult::People(page) => {
                let names: Vec<&str> = page.people.iter().map(|person| person.name.as_str()).collect();
                vec![(i18n.who)(&names, page.count)]
            }
            CommandResult::Rooms(page) if page.rooms.is_empty() => vec![i18n.no_rooms.to_owned()],
            CommandResult::Rooms(page) => {
                let mut lines: Vec<String> =
                    page.rooms.iter().map(|room| (i18n.room)(room.name.as_str(), room.count)).collect();
                if page.next.is_some() {
                    lines.push(i18n.and_more.to_owned());
                }
                lines
            }
            _ => Vec::new(),
        },
        ControlFrame::Welcome(_)
        | ControlFrame::Reset(_)
        | ControlFrame::Presence(_)
        | ControlFrame::Typing(_) => Vec::new(),
    };
    notices.iter().map(|text| notice_line(text)).collect()
}

fn refusal(error: &ErrorFrame, language: Language) -> String {
    let i18n = i18n(language);
    (i18n.error)((i18n.refusal)(error.code))
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
        assert_eq!(sanitize_echo("dance"), "dance");
        assert_eq!(sanitize_echo("\u{1b}[2J\u{85}\u{202e}x"), " [2J x");
        assert_eq!(sanitize_echo(&"茶".repeat(20_000)).chars().count(), 32);
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
