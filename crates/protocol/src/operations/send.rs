//! `send`: appends a message, at most once per idempotency key.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::row::errors;
use super::{Method, Operation, Permission, RateClass, Route, Row, room_ref};
use crate::{Appended, ClientMessageId, ErrorCode, FrameError, MessageBody, RoomRef};

/// Append a message to a room, at most once per idempotency key.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Send {
    /// The room. The user must be a member.
    pub room: RoomRef,
    /// The idempotency key: a repeated request with the same key, room and body returns the first message's number.
    pub client_message_id: ClientMessageId,
    /// The text, within the server's `body_bytes`.
    pub body: MessageBody,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "SendRequest")]
pub struct Fields {
    /// The room, by id or name.
    #[schemars(with = "RoomRef")]
    room: String,
    /// The idempotency key, unique among all messages of the sender.
    #[schemars(with = "ClientMessageId")]
    client_message_id: String,
    /// The text of the message, not blank, at most `limits.body_bytes`.
    #[schemars(with = "MessageBody")]
    body: String,
}

impl Operation for Send {
    type Fields = Fields;
    type Reply = Appended;
    const ROW: Row = Row {
        name: "send",
        summary: "Appends a message to a room. The same `client_message_id` with the same room and body returns the first message's `seq`.",
        reply: "`ok {seq}` once it is on disk",
        http: Some(Route::change(Method::Post, "/api/v1/rooms/{room}/messages").creating()),
        permission: Some(Permission::Member),
        rate: RateClass::Message,
        events: &["message"],
        errors: &[
            errors::COMMON,
            errors::ROOM,
            errors::WRITE,
            &[ErrorCode::NotAMember, ErrorCode::BodyEmpty, ErrorCode::BodyTooLong, ErrorCode::KeyConflict],
        ],
        slash: None,
        requests: &[
            r#"{"type":"send","id":4,"room":"r1","client_message_id":"0192f3a0-7b1e-7c00-8000-000000000001","body":"你好 👩‍🚀\n<script>"}"#,
        ],
        replies: &[r#"{"type":"ok","id":4,"seq":58}"#],
    };

    fn check(Fields { room, client_message_id, body }: Fields, body_limit: u32) -> Result<Self, FrameError> {
        Ok(Send {
            room: room_ref(&room)?,
            client_message_id: ClientMessageId::new(client_message_id)
                .map_err(|error| FrameError::malformed(error.to_string()))?,
            body: MessageBody::new(body, body_limit)?,
        })
    }
}
