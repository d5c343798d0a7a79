//! Parsing a text frame into commands.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::{Command, CommandId, FrameError, Limits};

/// A command with the id that correlates it with its reply.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CommandEnvelope {
    /// With an id, the command gets exactly one reply, which has the same id. Without one, only an error is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<CommandId>,
    /// The operation and its checked fields. On the wire they are in the same object as `id`.
    #[serde(flatten)]
    pub command: Command,
}

/// The fields that every command has, read before the type is known.
#[derive(Deserialize)]
struct Header<'a> {
    id: Option<CommandId>,
    #[serde(borrow)]
    r#type: Cow<'a, str>,
}

impl CommandEnvelope {
    /// Parses one command. `body_limit` is the longest message body in UTF-8 bytes.
    pub fn parse(text: &str, body_limit: u32) -> Result<Self, FrameError> {
        // serde accepts a list for a struct: `[5,"ping"]` would be the ping with the id 5.
        if !text.trim_start().starts_with('{') {
            return Err(FrameError::malformed("a command is a JSON object"));
        }
        let header: Header<'_> = serde_json::from_str(text).map_err(|error| diagnose(text, &error))?;
        match Command::read(&header.r#type, text, body_limit) {
            Some(Ok(command)) => Ok(CommandEnvelope { id: header.id, command }),
            Some(Err(error)) => Err(FrameError { id: header.id, ..error }),
            None => Err(FrameError { id: header.id, ..FrameError::unknown_type(&header.r#type) }),
        }
    }
}

impl Command {
    /// Parses the parameters of an HTTP request for the operation `name`; the checks are those of a frame with the same
    /// fields.
    pub fn from_parameters(
        name: &str,
        parameters: Map<String, Value>,
        body_limit: u32,
    ) -> Result<Self, FrameError> {
        Command::read(name, parameters, body_limit).unwrap_or_else(|| Err(FrameError::unknown_type(name)))
    }
}

/// Parses a text frame: one object, or an array of up to [`Limits::FRAME_COMMANDS`]. `body_limit` is the longest message body
/// in UTF-8 bytes.
///
/// The outer error means that the frame as a whole is not JSON of this form.
pub fn parse_frame(
    text: &str,
    body_limit: u32,
) -> Result<Vec<Result<CommandEnvelope, FrameError>>, FrameError> {
    if !text.trim_start().starts_with('[') {
        return Ok(vec![CommandEnvelope::parse(text, body_limit)]);
    }
    let objects: Vec<&RawValue> =
        serde_json::from_str(text).map_err(|error| FrameError::malformed(format!("not JSON: {error}")))?;
    if objects.len() > Limits::FRAME_COMMANDS {
        let message = format!("{} commands in one frame: at most {}", objects.len(), Limits::FRAME_COMMANDS);
        return Err(FrameError::malformed(message));
    }
    Ok(objects.into_iter().map(|object| CommandEnvelope::parse(object.get(), body_limit)).collect())
}

/// Builds the error for an object whose `id` or `type` has the wrong JSON type. It keeps the id if that is readable, so that
/// the client can match the error to its command.
fn diagnose(text: &str, error: &serde_json::Error) -> FrameError {
    #[derive(Deserialize)]
    struct Envelope {
        id: Option<Value>,
        r#type: Option<Value>,
    }
    let Ok(Envelope { id, r#type }) = serde_json::from_str(text) else {
        return FrameError::malformed(format!("not a JSON object: {error}"));
    };
    let id = id.and_then(|id| id.as_u64()).map(CommandId);
    let error = match r#type.as_ref().and_then(Value::as_str) {
        None => FrameError::malformed("a command is an object with a text \"type\""),
        Some(name) if Command::read(name, Map::new(), 0).is_none() => FrameError::unknown_type(name),
        Some(name) => FrameError::malformed(format!("{name}: {error}")),
    };
    FrameError { id, ..error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;
    use crate::Ping;

    fn rejection(text: &str) -> FrameError {
        match parse_frame(text, 100) {
            Err(error) => error,
            Ok(mut commands) => commands.remove(0).unwrap_err(),
        }
    }

    #[test]
    fn unknown_fields_are_ignored() {
        let parsed = parse_frame(r#"{"type":"ping","id":3,"colour":"green"}"#, 100).unwrap();
        assert_eq!(parsed, [Ok(CommandEnvelope { id: Some(CommandId(3)), command: Command::Ping(Ping {}) })]);
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
            let error = rejection(text);
            assert_eq!((error.id, error.code), (Some(CommandId(5)), code), "{text}");
        }
        for text in ["", "hello", "1", "null", "\"ping\"", "{", r#"{"type":"ping","id":"x"}"#, "[1", "[{]"] {
            assert_eq!(rejection(text).code, ErrorCode::Malformed, "{text:?}");
        }
    }

    #[test]
    fn a_list_in_the_place_of_a_command_is_answered_to_nobody() {
        for text in [r#"[[5,"ping"]]"#, r#"[[5,"dance"]]"#, r#"[ [5] ]"#] {
            let error = rejection(text);
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
            let error = rejection(&text);
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
        let parsed = parse_frame(r#"[{"type":"ping","id":1},{"type":"dance","id":2},3]"#, 100).unwrap();
        assert_eq!(parsed.len(), 3);
        assert!(parsed[0].is_ok());
        assert_eq!(parsed[1].as_ref().unwrap_err().id, Some(CommandId(2)));
        assert!(parse_frame(&format!("[{}]", vec![r#"{"type":"ping"}"#; 257].join(",")), 100).is_err());
        assert!(parse_frame("[]", 100).unwrap().is_empty());
    }
}
