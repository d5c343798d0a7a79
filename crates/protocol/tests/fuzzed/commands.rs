//! Properties of parsing, for any text that a client sends as a command.

use std::str::from_utf8;

use serde_json::Value;
use teahouse_protocol::{Command, CommandEnvelope, FrameError, Limits, RoomName, UserName, parse_frame};

/// The longest body in these cases, in UTF-8 bytes.
const BODY_LIMIT: u32 = 100;

/// The longest error message, in bytes. A reply much longer than its frame would amplify the traffic of an attacker.
const MESSAGE_BYTES: usize = 1024;

/// Checks the properties of the parser for the text of one frame.
pub(crate) fn hold(data: &[u8]) {
    let Ok(text) = from_utf8(data) else { return };
    let frame = match parse_frame(text, BODY_LIMIT) {
        Ok(frame) => frame,
        Err(error) => return check_error(&error, text),
    };
    assert!(frame.len() <= Limits::FRAME_COMMANDS);
    if let [Err(error)] = &frame[..] {
        check_error(error, text);
    }
    let commands: Vec<CommandEnvelope> = frame.into_iter().filter_map(Result::ok).collect();
    commands.iter().for_each(check_command);
    // Commands parse the same in an array as alone.
    let again = serde_json::to_string(&commands).expect("a command is JSON");
    let read: Vec<_> = parse_frame(&again, BODY_LIMIT).expect("an array of commands").into_iter().collect();
    assert_eq!(read, commands.into_iter().map(Ok).collect::<Vec<_>>(), "{again}");
}

/// Checks that an error has the id of the command, and does not repeat the whole frame.
fn check_error(error: &FrameError, text: &str) {
    assert!(error.message.len() <= MESSAGE_BYTES, "{} bytes of {error:?}", error.message.len());
    // A text with half a surrogate pair has a readable id, but is not JSON as a whole.
    let Ok(frame) = serde_json::from_str::<Value>(text) else { return };
    let command = frame.get(0).unwrap_or(&frame);
    assert!(error.id.is_none() || command.is_object(), "{command} has no id: {error:?}");
    let named = command.get("id").and_then(Value::as_u64);
    assert!(error.id.is_none() || error.id.map(|id| id.0) == named, "{error:?} answers {named:?}");
}

/// Checks that the fields of a command are valid, and that it is equal after serializing and parsing.
fn check_command(envelope: &CommandEnvelope) {
    let text = serde_json::to_string(envelope).expect("a command is JSON");
    assert_eq!(CommandEnvelope::parse(&text, BODY_LIMIT).as_ref(), Ok(envelope), "{text}");
    match &envelope.command {
        Command::Send(send) => {
            assert!(send.body.as_str().len() <= BODY_LIMIT as usize);
            assert!(!send.body.as_str().contains('\0') && !send.body.as_str().trim().is_empty());
            assert!(send.client_message_id.as_str().bytes().all(|byte| byte.is_ascii_graphic()));
        }
        Command::Rename(teahouse_protocol::Rename { name }) => {
            assert_eq!(
                UserName::new(name.as_str()).as_ref(),
                Ok(name),
                "a name is rejected when it is parsed again"
            );
            assert!(name.as_str().chars().count() <= Limits::USER_NAME_CHARS as usize);
        }
        Command::Join(join) => {
            if let teahouse_protocol::RoomRef::Name(name) = &join.room {
                assert_eq!(RoomName::new(name.as_str()).as_ref(), Ok(name));
                assert!(name.as_str().chars().count() <= Limits::ROOM_NAME_CHARS as usize);
                assert_ne!(name.key(), "");
            }
        }
        Command::Resume(resume) => assert!(resume.rooms.len() <= Limits::RESUME_ROOMS),
        Command::History(history) => assert!(history.after.is_none() || history.before.is_none()),
        _ => {}
    }
}
