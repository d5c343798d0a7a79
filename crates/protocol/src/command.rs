//! What a client may say.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    ClientMessageId, CommandId, Epoch, ErrorCode, InvalidBody, InvalidName, Limits, MessageBody, RoomId,
    RoomName, RoomRef, Seq, UserId, UserName,
};

/// One command of a client. Every value in it is legal; whether the client *may* is another crate's question.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Command {
    /// Become a member (if need be, of a new room) and hear what is said.
    Join(Join),
    /// Come back to rooms one is a member of, each at its own cursor.
    Resume(Resume),
    /// Stop being a member.
    Leave {
        /// Which room.
        room: RoomRef,
    },
    /// Say something.
    Send(Send),
    /// Tell the room that one is typing.
    Typing {
        /// Which room.
        room: RoomRef,
    },
    /// Who is here, a page at a time.
    Who(Who),
    /// Be called something else, in every room.
    Rename {
        /// The new name.
        name: UserName,
    },
    /// Which rooms there are, a page at a time.
    Rooms(Rooms),
    /// A stretch of a room's events.
    History(History),
    /// "I have seen everything up to here."
    Read(Read),
    /// "Are you there?"
    Ping {},
}

/// `join`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Join {
    /// By id, or by name: an unknown name makes a room.
    pub room: RoomRef,
    /// The last event the client has; what follows it is sent. Without it: only what is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Seq>,
    /// The epoch in which `after` was learned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
}

/// `resume`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Resume {
    /// For each room the last event the client has.
    pub rooms: BTreeMap<RoomId, Seq>,
    /// The epoch in which they were learned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
}

/// `send`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Send {
    /// Where.
    pub room: RoomRef,
    /// The sender's name for this message: sent again, it is the same message.
    pub client_message_id: ClientMessageId,
    /// What.
    pub body: MessageBody,
}

/// `who`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Who {
    /// Which room.
    pub room: RoomRef,
    /// The last person of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<UserId>,
    /// At most [`Limits::PAGE`], which is also the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// `rooms`
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Rooms {
    /// Only rooms one is a member of.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub joined: bool,
    /// The last room of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<RoomId>,
    /// At most [`Limits::PAGE`], which is also the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// `history`: events after a number, oldest first; or those right before a number, also oldest first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct History {
    /// Which room.
    pub room: RoomRef,
    /// Events with a greater number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Seq>,
    /// Events with a smaller number, the nearest ones. Not together with `after`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Seq>,
    /// At most [`Limits::HISTORY_EVENTS`]; [`Limits::HISTORY_EVENTS_DEFAULT`] without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// `read`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Read {
    /// Which room.
    pub room: RoomRef,
    /// Up to and with this event.
    pub seq: Seq,
}

/// A command and what the client calls it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CommandEnvelope {
    /// Present: exactly one reply bears it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<CommandId>,
    /// The command.
    #[serde(flatten)]
    pub command: Command,
}

/// Why a frame, or one object in it, is no command. It is answered with `error`, and never closes the connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct FrameError {
    /// The command's id, where it could be read.
    pub id: Option<CommandId>,
    /// Which code to answer with.
    pub code: ErrorCode,
    /// For the person who writes the client.
    pub message: String,
}

impl FrameError {
    /// Messages quote what they refuse; beyond this many characters they are cut.
    const MESSAGE_CHARS: usize = 200;

    fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let mut message = message.into();
        // Nobody is answered with more than they sent: a frame may be 64 KiB, and quoting makes invisible characters longer.
        if let Some((at, _)) = message.char_indices().nth(Self::MESSAGE_CHARS) {
            message.truncate(at);
            message.push('…');
        }
        FrameError { id: None, code, message }
    }
}

impl CommandEnvelope {
    /// Reads one command whose body may have `body_limit` bytes.
    pub fn parse(text: &str, body_limit: u32) -> Result<Self, FrameError> {
        let Wire { id, command } = serde_json::from_str(text).map_err(|error| diagnose(text, &error))?;
        // serde takes a variant's number for its name: without this, `"type":10` would be a ping.
        let Tag { .. } = serde_json::from_str(text).map_err(|error| diagnose(text, &error))?;
        match command.check(body_limit) {
            Ok(command) => Ok(CommandEnvelope { id, command }),
            Err(error) => Err(FrameError { id, ..error }),
        }
    }
}

/// Reads a text frame: one object, or an array of up to [`Limits::FRAME_COMMANDS`]; a body may have `body_limit` bytes.
///
/// The outer error means that the frame as a whole is no JSON of that form.
pub fn parse_frame(
    text: &str,
    body_limit: u32,
) -> Result<Vec<Result<CommandEnvelope, FrameError>>, FrameError> {
    if !text.trim_start().starts_with('[') {
        return Ok(vec![CommandEnvelope::parse(text, body_limit)]);
    }
    let objects: Vec<&RawValue> = serde_json::from_str(text)
        .map_err(|error| FrameError::new(ErrorCode::Malformed, format!("not JSON: {error}")))?;
    if objects.len() > Limits::FRAME_COMMANDS {
        let message = format!("{} commands in one frame: at most {}", objects.len(), Limits::FRAME_COMMANDS);
        return Err(FrameError::new(ErrorCode::Malformed, message));
    }
    Ok(objects.into_iter().map(|object| CommandEnvelope::parse(object.get(), body_limit)).collect())
}

/// The same shapes as the client wrote them, before names and bodies are checked: so that each gets the code of its own
/// mistake, and not one `malformed` for all.
#[derive(Deserialize)]
struct Wire {
    id: Option<CommandId>,
    #[serde(flatten)]
    command: WireCommand,
}

#[derive(Deserialize)]
struct Tag<'a> {
    #[expect(dead_code, reason = "read for its kind alone")]
    #[serde(borrow)]
    r#type: std::borrow::Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum WireCommand {
    Join {
        room: String,
        after: Option<Seq>,
        epoch: Option<Epoch>,
    },
    Resume {
        rooms: BTreeMap<RoomId, Seq>,
        epoch: Option<Epoch>,
    },
    Leave {
        room: String,
    },
    Send {
        room: String,
        client_message_id: String,
        body: String,
    },
    Typing {
        room: String,
    },
    Who {
        room: String,
        after: Option<UserId>,
        limit: Option<u32>,
    },
    Rename {
        name: String,
    },
    Rooms {
        #[serde(default)]
        joined: bool,
        after: Option<RoomId>,
        limit: Option<u32>,
    },
    History {
        room: String,
        after: Option<Seq>,
        before: Option<Seq>,
        limit: Option<u32>,
    },
    Read {
        room: String,
        seq: Seq,
    },
    Ping {},
}

impl WireCommand {
    fn check(self, body_limit: u32) -> Result<Command, FrameError> {
        Ok(match self {
            WireCommand::Join { room, after, epoch } => {
                Command::Join(Join { room: room_ref(&room)?, after, epoch })
            }
            WireCommand::Resume { rooms, epoch } => {
                if rooms.len() > Limits::RESUME_ROOMS {
                    let message =
                        format!("{} rooms in one resume: at most {}", rooms.len(), Limits::RESUME_ROOMS);
                    return Err(FrameError::new(ErrorCode::Malformed, message));
                }
                Command::Resume(Resume { rooms, epoch })
            }
            WireCommand::Leave { room } => Command::Leave { room: room_ref(&room)? },
            WireCommand::Send { room, client_message_id, body } => Command::Send(Send {
                room: room_ref(&room)?,
                client_message_id: ClientMessageId::new(client_message_id)
                    .map_err(|error| FrameError::new(ErrorCode::Malformed, error.to_string()))?,
                body: MessageBody::new(body, body_limit)?,
            }),
            WireCommand::Typing { room } => Command::Typing { room: room_ref(&room)? },
            WireCommand::Who { room, after, limit } => {
                Command::Who(Who { room: room_ref(&room)?, after, limit })
            }
            WireCommand::Rename { name } => Command::Rename { name: UserName::new(&name)? },
            WireCommand::Rooms { joined, after, limit } => Command::Rooms(Rooms { joined, after, limit }),
            WireCommand::History { after: Some(_), before: Some(_), .. } => {
                return Err(FrameError::new(ErrorCode::Malformed, "history takes after or before, not both"));
            }
            WireCommand::History { room, after, before, limit } => {
                Command::History(History { room: room_ref(&room)?, after, before, limit })
            }
            WireCommand::Read { room, seq } => Command::Read(Read { room: room_ref(&room)?, seq }),
            WireCommand::Ping {} => Command::Ping {},
        })
    }
}

/// A room by id or name. What is neither is answered with `invalid_name`.
fn room_ref(text: &str) -> Result<RoomRef, FrameError> {
    match text.parse() {
        Ok(id) => Ok(RoomRef::Id(id)),
        Err(_) => Ok(RoomRef::Name(RoomName::new(text)?)),
    }
}

impl From<InvalidName> for FrameError {
    fn from(error: InvalidName) -> Self {
        FrameError::new(ErrorCode::InvalidName, error.to_string())
    }
}

impl From<InvalidBody> for FrameError {
    fn from(error: InvalidBody) -> Self {
        let code = match error {
            InvalidBody::TooLong { .. } => ErrorCode::BodyTooLong,
            InvalidBody::Empty => ErrorCode::BodyEmpty,
            InvalidBody::Nul => ErrorCode::Malformed,
        };
        FrameError::new(code, error.to_string())
    }
}

/// Reads again what could not be read, only for the id and the type: the error should say which command was meant.
fn diagnose(text: &str, error: &serde_json::Error) -> FrameError {
    #[derive(Deserialize)]
    struct Envelope {
        id: Option<serde_json::Value>,
        r#type: Option<serde_json::Value>,
    }
    const KNOWN: [&str; 11] =
        ["join", "resume", "leave", "send", "typing", "who", "rename", "rooms", "history", "read", "ping"];
    // serde takes a list for a struct: `[5,"ping"]` would be answered as the ping with the id 5.
    let envelope = serde_json::from_str(text).ok().filter(|_| text.trim_start().starts_with('{'));
    let Some(Envelope { id, r#type }) = envelope else {
        return FrameError::new(ErrorCode::Malformed, format!("not a JSON object: {error}"));
    };
    let id = id.and_then(|id| id.as_u64()).map(CommandId);
    let error = match r#type.as_ref().and_then(|kind| kind.as_str()) {
        None => FrameError::new(ErrorCode::Malformed, "a command is an object with a text \"type\""),
        // Unknown words come from outside and go back there and nowhere else; a long one is cut.
        Some(kind) if !KNOWN.contains(&kind) => FrameError::new(
            ErrorCode::UnknownType,
            format!("no command is called {:?}", kind.chars().take(32).collect::<String>()),
        ),
        Some(kind) => FrameError::new(ErrorCode::Malformed, format!("{kind}: {error}")),
    };
    FrameError { id, ..error }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> FrameError {
        match parse_frame(text, 100) {
            Err(error) => error,
            Ok(mut commands) => commands.remove(0).unwrap_err(),
        }
    }

    #[test]
    fn unknown_fields_are_ignored() {
        let said = parse_frame(r#"{"type":"ping","id":3,"colour":"green"}"#, 100).unwrap();
        assert_eq!(said, [Ok(CommandEnvelope { id: Some(CommandId(3)), command: Command::Ping {} })]);
    }

    #[test]
    fn each_mistake_has_its_own_code_and_keeps_the_id() {
        for (text, code) in [
            (r#"{"type":"dance","id":5}"#, ErrorCode::UnknownType),
            (r#"{"type":"join","id":5}"#, ErrorCode::Malformed),
            (r#"{"type":"join","id":5,"room":"a b"}"#, ErrorCode::InvalidName),
            (r#"{"type":"rename","id":5,"name":"a:b"}"#, ErrorCode::InvalidName),
            (
                r#"{"type":"send","id":5,"room":"r1","client_message_id":"k","body":" "}"#,
                ErrorCode::BodyEmpty,
            ),
            (
                r#"{"type":"send","id":5,"room":"r1","client_message_id":"k","body":"a\u0000"}"#,
                ErrorCode::Malformed,
            ),
            (r#"{"type":"send","id":5,"room":"r1","client_message_id":"","body":"a"}"#, ErrorCode::Malformed),
            (r#"{"type":"history","id":5,"room":"r1","after":1,"before":2}"#, ErrorCode::Malformed),
            (r#"{"type":"read","id":5,"room":"r1","seq":-1}"#, ErrorCode::Malformed),
            (r#"{"id":5}"#, ErrorCode::Malformed),
            (r#"{"id":5,"type":10}"#, ErrorCode::Malformed),
        ] {
            let error = refusal(text);
            assert_eq!((error.id, error.code), (Some(CommandId(5)), code), "{text}");
        }
        for text in ["", "hello", "1", "null", "\"ping\"", "{", r#"{"type":"ping","id":"x"}"#, "[1", "[{]"] {
            assert_eq!(refusal(text).code, ErrorCode::Malformed, "{text:?}");
        }
    }

    #[test]
    fn a_list_in_the_place_of_a_command_is_answered_to_nobody() {
        for text in [r#"[[5,"ping"]]"#, r#"[[5,"dance"]]"#, r#"[ [5] ]"#] {
            let error = refusal(text);
            assert_eq!((error.id, error.code), (None, ErrorCode::Malformed), "{text}");
        }
    }

    #[test]
    fn an_error_does_not_repeat_a_whole_frame() {
        let long = "\u{200b}".repeat(10_000);
        for text in [
            format!(r#"{{"type":"ping","id":"{long}"}}"#),
            format!(r#"{{"type":"join","room":"a","after":"{long}"}}"#),
            format!(r#"{{"type":"{long}"}}"#),
            format!(r#"["{long}"]"#),
            format!(r#"{{"type":"join","room":"{long}"}}"#),
        ] {
            let error = refusal(&text);
            assert!(error.message.chars().count() <= 201, "{} characters", error.message.chars().count());
        }
    }

    #[test]
    fn a_body_beyond_the_servers_limit_is_too_long() {
        let text = format!(
            r#"{{"type":"send","id":5,"room":"r1","client_message_id":"k","body":"{}"}}"#,
            "x".repeat(9)
        );
        assert!(CommandEnvelope::parse(&text, 9).is_ok());
        assert_eq!(CommandEnvelope::parse(&text, 8).unwrap_err().code, ErrorCode::BodyTooLong);
    }

    #[test]
    fn an_array_is_several_commands_each_with_its_own_answer() {
        let said = parse_frame(r#"[{"type":"ping","id":1},{"type":"dance","id":2},3]"#, 100).unwrap();
        assert_eq!(said.len(), 3);
        assert!(said[0].is_ok());
        assert_eq!(said[1].as_ref().unwrap_err().id, Some(CommandId(2)));
        assert!(parse_frame(&format!("[{}]", vec![r#"{"type":"ping"}"#; 257].join(",")), 100).is_err());
        assert!(parse_frame("[]", 100).unwrap().is_empty());
    }
}
