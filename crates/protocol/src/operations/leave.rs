//! `leave`: ends a membership. The reply follows every event up to `member_left`, so nothing of the room follows it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::row::errors;
use super::{Method, Operation, Permission, RateClass, Route, Row, Slash, room_ref};
use crate::{Appended, ErrorCode, FrameError, RoomRef};

/// End the membership of a room.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Leave {
    /// The room. The user must be a member.
    pub room: RoomRef,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "LeaveRequest")]
pub struct Fields {
    /// The room, by id or name.
    #[schemars(with = "RoomRef")]
    room: String,
}

impl Operation for Leave {
    type Fields = Fields;
    type Reply = Appended;
    const ROW: Row = Row {
        name: "leave",
        summary: "Ends the user's membership of a room.",
        reply: "`ok {seq}` after all events up to that one; no event of the room follows",
        http: Some(Route::change(Method::Post, "/api/v1/rooms/{room}/leave")),
        permission: Some(Permission::Member),
        rate: RateClass::Command,
        events: &["member_left"],
        errors: &[errors::COMMON, errors::ROOM, errors::WRITE, &[ErrorCode::NotAMember]],
        slash: Some(Slash { word: "leave", argument: None }),
        requests: &[r#"{"type":"leave","id":3,"room":"r1"}"#],
        replies: &[r#"{"type":"ok","id":3,"seq":61}"#],
    };

    fn check(Fields { room }: Fields, _: u32) -> Result<Self, FrameError> {
        Ok(Leave { room: room_ref(&room)? })
    }
}
