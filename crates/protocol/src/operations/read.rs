//! `read`: moves the read position, which is shared by all sessions of the user.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::row::errors;
use super::{Method, Operation, Permission, RateClass, Route, Row, room_ref};
use crate::{ErrorCode, FrameError, ReadPosition, RoomRef, Seq};

/// Move the user's read position forward.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Read {
    /// The room. The user must be a member.
    pub room: RoomRef,
    /// The last event that was read. A position at or before the current one changes nothing.
    pub seq: Seq,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ReadRequest")]
pub struct Fields {
    /// The room, by id or name.
    #[schemars(with = "RoomRef")]
    room: String,
    /// The last event that was read.
    seq: Seq,
}

impl Operation for Read {
    type Fields = Fields;
    type Reply = ReadPosition;
    const ROW: Row = Row {
        name: "read",
        summary: "Moves the user's read position in a room. It never moves back.",
        reply: "`ok {seq, n}`: the current position",
        http: Some(Route::change(Method::Put, "/api/v1/rooms/{room}/read")),
        permission: Some(Permission::Member),
        rate: RateClass::Command,
        events: &[],
        errors: &[errors::COMMON, errors::ROOM, errors::WRITE, &[ErrorCode::NotAMember]],
        slash: None,
        requests: &[r#"{"type":"read","id":9,"room":"r1","seq":58}"#],
        replies: &[r#"{"type":"ok","id":9,"seq":58,"n":52}"#],
    };

    fn check(Fields { room, seq }: Fields, _: u32) -> Result<Self, FrameError> {
        Ok(Read { room: room_ref(&room)?, seq })
    }
}
