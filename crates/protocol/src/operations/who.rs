//! `who`: lists the users online in a room, in pages; `joined` contains only the first 50.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::row::errors;
use super::{Operation, Permission, RateClass, Route, Row, Slash, room_ref};
#[cfg(doc)]
use crate::Limits;
use crate::{ErrorCode, FrameError, RoomRef, UserId, UserPage};

/// List the users who are online in a room, one page at a time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Who {
    /// The room. The user must be a member.
    pub room: RoomRef,
    /// The last user of the previous page; the page starts after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<UserId>,
    /// The most users in the page; at most [`Limits::PAGE`], which is also the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "WhoRequest")]
pub struct Fields {
    /// The room, by id or name.
    #[schemars(with = "RoomRef")]
    room: String,
    /// The last user of the previous page: its `next`.
    after: Option<UserId>,
    /// The most users in the page: at most 100, which is also the default.
    limit: Option<u32>,
}

impl Operation for Who {
    type Fields = Fields;
    type Reply = UserPage;
    const ROW: Row = Row {
        name: "who",
        summary: "Lists the users who are online in a room, sorted by id.",
        reply: "`ok {count, users, next?}`",
        http: Some(Route::get("/api/v1/rooms/{room}/online")),
        permission: Some(Permission::Member),
        rate: RateClass::Command,
        events: &[],
        errors: &[errors::COMMON, errors::ROOM, errors::READ, &[ErrorCode::NotAMember]],
        slash: Some(Slash { word: "who", argument: None }),
        requests: &[
            r#"{"type":"who","id":5,"room":"r1"}"#,
            r#"{"type":"who","id":5,"room":"r1","after":"u7","limit":20}"#,
        ],
        replies: &[r#"{"type":"ok","id":5,"count":3,"users":[{"id":"u7","name":"李雷"}],"next":"u7"}"#],
    };

    fn check(Fields { room, after, limit }: Fields, _: u32) -> Result<Self, FrameError> {
        Ok(Who { room: room_ref(&room)?, after, limit })
    }
}
