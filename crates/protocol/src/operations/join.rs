//! `join`: becomes a member, creating the room if necessary, and opens the room on the connection.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::row::errors;
use super::{Method, Operation, Permission, RateClass, Route, Row, Slash, room_ref};
use crate::{Epoch, ErrorCode, FrameError, Joined, RoomRef, Seq};

/// Become a member of a room, which is created if no room has the name, and (over WebSocket) receive its events.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Join {
    /// An id, or a name: an unknown name creates a room, an unknown id is `room_not_found`.
    pub room: RoomRef,
    /// The last event that the client has; the later ones are sent. Without it, only new events are sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Seq>,
    /// The epoch in which the client received `after`; if it is not the current one, the client gets a `reset`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "JoinRequest")]
pub struct Fields {
    /// The room, by id or name. An unknown name creates a room.
    #[schemars(with = "RoomRef")]
    room: String,
    /// The last event that the client has. Only over WebSocket, where the later events are sent; without it, only new ones.
    after: Option<Seq>,
    /// The epoch in which the client received `after`.
    epoch: Option<Epoch>,
}

impl Operation for Join {
    type Fields = Fields;
    type Reply = Joined;
    const ROW: Row = Row {
        name: "join",
        summary: "Makes the user a member of a room. An unknown name creates the room. For a member, nothing is appended.",
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
        slash: Some(Slash { word: "join", argument: Some("room") }),
        requests: &[
            r#"{"type":"join","id":1,"room":"lobby"}"#,
            r#"{"type":"join","id":1,"room":"lobby","after":41,"epoch":"e1"}"#,
            r#"{"type":"join","room":"茶馆"}"#,
        ],
        replies: &[
            r#"{"type":"joined","id":1,"room":"r1","name":"lobby","head":57,"n":51,"read":{"seq":40,"n":38},"count":3,"online":[{"id":"u7","name":"李雷"},{"id":"u8","name":"Han Meimei"}]}"#,
            r#"{"type":"joined","room":"r12","name":"茶馆","head":0,"n":0,"count":1,"online":[]}"#,
        ],
    };

    fn check(Fields { room, after, epoch }: Fields, _: u32) -> Result<Self, FrameError> {
        Ok(Join { room: room_ref(&room)?, after, epoch })
    }
}
