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
        "description": "The id of a room. It is never used again after the room is gone.",
        "examples": ["r1"],
    };
    UserId = {
        "type": "string",
        "pattern": r"^u(0|[1-9]\d{0,19})$",
        "description": "The id of a user. It is never used again.",
        "examples": ["u7"],
    };
    Seq = {
        "type": "integer",
        "minimum": 0,
        "maximum": MAX_INTEGER,
        "description": "The number of an event in its room: 1, 2, 3 … without a hole. 0 is the position before the first event.",
    };
    MessageCount = {
        "type": "integer",
        "minimum": 0,
        "maximum": MAX_INTEGER,
        "description": "The messages of a room up to some point. The number of unread messages is the difference of two counts.",
    };
    CommandId = {
        "type": "integer",
        "minimum": 0,
        "maximum": MAX_INTEGER,
        "description": "The client's number for a command. Its reply bears the same number.",
    };
    Epoch = {
        "type": "string",
        "description": "The life of the store. A restored store has another epoch, in which older cursors mean nothing.",
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
        "description": "Letters and digits of any script, `-` and `_`; not like an id. Names are compared without regard to case and width.",
        "examples": ["lobby"],
    };
    RoomRef = {
        "type": "string",
        "minLength": 1,
        // With the leading `#` that parsing removes.
        "maxLength": Limits::ROOM_NAME_CHARS + 1,
        "description": "A room, by its id or its name.",
        "examples": ["r1", "lobby"],
    };
    UserName = {
        "type": "string",
        "minLength": 1,
        "maxLength": Limits::USER_NAME_CHARS,
        "description": "A name of a user. No control or invisible characters, no `:`, and no `*` or `/` in front. Not unique.",
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
        "description": "The text of a message, kept as it was typed. At most `limits.body_bytes` of UTF-8, not only white space, without U+0000.",
        "examples": ["你好"],
    };
}
