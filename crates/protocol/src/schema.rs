//! JSON Schemas of the types whose JSON is written by hand.

use crate::{
    ClientMessageId, CommandId, Epoch, Limits, MessageBody, MessageCount, RoomId, RoomName, RoomRef, Seq,
    Timestamp, UserId, UserName,
};

/// The largest integer that JavaScript, and so JSON in practice, holds exactly.
const MAX_INTEGER: u64 = (1 << 53) - 1;

macro_rules! schemas {
    ($($type:ident = { $($schema:tt)* };)*) => {$(
        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ $($schema)* })
            }
        }
    )*};
}
pub(crate) use schemas;

schemas! {
    RoomId = {
        "type": "string",
        "pattern": r"^r(0|[1-9]\d{0,19})$",
        "description": "The id of a room. It is not reused after the room is deleted.",
        "examples": ["r1"],
    };
    UserId = {
        "type": "string",
        "pattern": r"^u(0|[1-9]\d{0,19})$",
        "description": "The id of a user. It is never reused.",
        "examples": ["u7"],
    };
    Seq = {
        "type": "integer",
        "minimum": 0,
        "maximum": MAX_INTEGER,
        "description": "The number of an event in its room: 1, 2, 3 … without a gap. 0 is the position before the first event.",
    };
    MessageCount = {
        "type": "integer",
        "minimum": 0,
        "maximum": MAX_INTEGER,
        "description": "The number of messages in a room up to some event. The number of unread messages is the difference of two counts.",
    };
    CommandId = {
        "type": "integer",
        "minimum": 0,
        "maximum": MAX_INTEGER,
        "description": "The client's number for a command. The reply has the same number.",
    };
    Epoch = {
        "type": "string",
        "description": "The identity of the store's history. A restored store has another epoch, in which earlier cursors are invalid.",
    };
    Timestamp = {
        "type": "string",
        "format": "date-time",
        "description": "RFC 3339, in UTC, with milliseconds.",
        "examples": ["2026-11-22T10:00:00.123Z"],
    };
    RoomName = {
        "type": "string",
        "minLength": 1,
        "maxLength": Limits::ROOM_NAME_CHARS,
        "description": "Letters and digits of any script, `-` and `_`; not of the form of an id. Names are compared without case and width.",
        "examples": ["lobby"],
    };
    RoomRef = {
        "type": "string",
        "minLength": 1,
        // With the leading `#` that parsing removes.
        "maxLength": Limits::ROOM_NAME_CHARS + 1,
        "description": "The id or the name of a room.",
        "examples": ["r1", "lobby"],
    };
    UserName = {
        "type": "string",
        "minLength": 1,
        "maxLength": Limits::USER_NAME_CHARS,
        "description": "The name of a user, not unique. It contains no control or invisible characters and no `:`, and does not start with `*` or `/`.",
        "examples": ["李雷"],
    };
    ClientMessageId = {
        "type": "string",
        "pattern": "^[!-~]{1,64}$",
        "description": "The idempotency key of a message: 1 to 64 visible ASCII characters, such as a UUIDv7.",
        "examples": ["0192f3a0-7b1e-7c00-8000-000000000001"],
    };
    MessageBody = {
        "type": "string",
        "minLength": 1,
        "description": "The text of a message, stored unchanged: at most `limits.body_bytes` bytes of UTF-8, not only white space, without U+0000.",
        "examples": ["你好"],
    };
}
