//! `join`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::row::errors;
use super::{Method, Operation, Permission, RateClass, Route, Row, room_ref};
use crate::{Epoch, ErrorCode, FrameError, Joined, RoomRef, Seq};

/// Become a member, of a new room if need be, and (on a live connection) receive its events.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Join {
    /// By id, or by name: an unknown name creates a room.
    pub room: RoomRef,
    /// The last event the client has; what follows it is sent. Without it: only new events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Seq>,
    /// The epoch in which the client received `after`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
}

/// The fields of `join`.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "JoinRequest")]
pub struct Fields {
    /// The room, by id or name. An unknown name creates a room.
    #[schemars(with = "RoomRef")]
    room: String,
    /// The last event the client has. Only on a live connection, which receives what follows; without it, only new events.
    after: Option<Seq>,
    /// The epoch in which the client received `after`.
    epoch: Option<Epoch>,
}

impl Operation for Join {
    type Fields = Fields;
    type Reply = Joined;
    const ROW: Row = Row {
        name: "join",
        summary: "Makes the user a member of a room. An unknown name creates the room. A member stays one, and nothing is appended.",
        reply: "`joined`, then the events after `after`",
        http: Some(Route::change(Method::Post, "/api/v1/rooms/{room}/join").without(&["after", "epoch"])),
        permission: Some(Permission::Join),
        rate: RateClass::Join,
        events: &["member_joined"],
        errors: &[
            errors::COMMON,
            errors::ROOM,
            errors::WRITE,
            &[ErrorCode::NotAMember, ErrorCode::TooManyRooms],
        ],
    };

    fn check(Fields { room, after, epoch }: Fields, _: u32) -> Result<Self, FrameError> {
        Ok(Join { room: room_ref(&room)?, after, epoch })
    }
}
