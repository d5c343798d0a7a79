//! `typing`: an ephemeral notification, never stored.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::row::errors;
use super::{Operation, Permission, RateClass, Row, room_ref};
use crate::{Done, ErrorCode, FrameError, RoomRef};

/// Notify the members of a room that the user is typing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Typing {
    /// The room. It must be open on this connection.
    pub room: RoomRef,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "TypingRequest")]
pub struct Fields {
    /// The room, by id or name. It must be open on this connection.
    #[schemars(with = "RoomRef")]
    room: String,
}

impl Operation for Typing {
    type Fields = Fields;
    type Reply = Done;
    const ROW: Row = Row {
        name: "typing",
        summary: "Notifies the members of a room that the user is typing. The notification is not stored, and may be lost.",
        reply: "`ok`",
        http: None,
        permission: Some(Permission::Member),
        rate: RateClass::Typing,
        events: &[],
        errors: &[errors::COMMON, &[ErrorCode::InvalidName, ErrorCode::NotAMember]],
        slash: None,
        requests: &[r#"{"type":"typing","room":"r1"}"#],
        replies: &[],
    };

    fn check(Fields { room }: Fields, _: u32) -> Result<Self, FrameError> {
        Ok(Typing { room: room_ref(&room)? })
    }
}
