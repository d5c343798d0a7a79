//! `resume`: after a reconnect, opens several rooms with one command, each from its own cursor.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::row::errors;
use super::{Operation, Permission, RateClass, Row};
use crate::{Done, Epoch, ErrorCode, FrameError, Limits, RoomId, Seq};

/// Open rooms of which the user is a member, each from its own cursor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Resume {
    /// For each room, the last event that the client has. At most [`Limits::RESUME_ROOMS`](crate::Limits::RESUME_ROOMS).
    pub rooms: BTreeMap<RoomId, Seq>,
    /// The epoch in which the client received them; if it is not the current one, each room gets a `reset`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ResumeRequest")]
pub struct Fields {
    /// For each room, the last event that the client has; at most 500 rooms.
    rooms: BTreeMap<RoomId, Seq>,
    /// The epoch in which the client received them.
    epoch: Option<Epoch>,
}

impl Operation for Resume {
    type Fields = Fields;
    type Reply = Done;
    const ROW: Row = Row {
        name: "resume",
        summary: "Opens rooms again after a lost connection, each from its own cursor.",
        reply: "for each room `joined` without `id`, or an `error` with `room`; then `ok`",
        http: None,
        permission: Some(Permission::Member),
        rate: RateClass::Command,
        events: &[],
        errors: &[errors::COMMON, errors::WRITE, &[ErrorCode::RoomNotFound, ErrorCode::NotAMember]],
        slash: None,
        requests: &[r#"{"type":"resume","id":2,"rooms":{"r1":57,"r12":0},"epoch":"e1"}"#],
        replies: &[],
    };

    fn check(Fields { rooms, epoch }: Fields, _: u32) -> Result<Self, FrameError> {
        if rooms.len() > Limits::RESUME_ROOMS {
            let message = format!("{} rooms in one resume: at most {}", rooms.len(), Limits::RESUME_ROOMS);
            return Err(FrameError::malformed(message));
        }
        Ok(Resume { rooms, epoch })
    }
}
