//! `rooms`: lists rooms by id, in pages.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::row::errors;
use super::{Operation, RateClass, Route, Row, Slash};
#[cfg(doc)]
use crate::Limits;
use crate::{FrameError, RoomId, RoomPage};

/// List rooms by id, one page at a time.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Rooms {
    /// Whether to list only rooms of which the user is a member.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub joined: bool,
    /// The last room of the previous page; the page starts after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<RoomId>,
    /// The most rooms in the page; at most [`Limits::PAGE`], which is also the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "RoomsRequest")]
pub struct Fields {
    /// Only rooms of which the user is a member.
    #[serde(default)]
    joined: bool,
    /// The last room of the previous page: its `next`.
    after: Option<RoomId>,
    /// The most rooms in the page: at most 100, which is also the default.
    limit: Option<u32>,
}

impl Operation for Rooms {
    type Fields = Fields;
    type Reply = RoomPage;
    const ROW: Row = Row {
        name: "rooms",
        summary: "Lists rooms, sorted by id.",
        reply: "`ok {rooms, next?}`",
        http: Some(Route::get("/api/v1/rooms")),
        permission: None,
        rate: RateClass::Command,
        events: &[],
        errors: &[errors::COMMON, errors::READ],
        slash: Some(Slash { word: "rooms", argument: None }),
        requests: &[
            r#"{"type":"rooms","id":7}"#,
            r#"{"type":"rooms","id":7,"joined":true,"after":"r3","limit":20}"#,
        ],
        replies: &[
            r#"{"type":"ok","id":7,"rooms":[{"room":"r1","name":"lobby","head":62,"n":53,"count":3,"joined":true,"read":{"seq":40,"n":38}},{"room":"r12","name":"茶馆","head":0,"n":0,"count":0,"joined":false}],"next":"r12"}"#,
        ],
    };

    fn check(Fields { joined, after, limit }: Fields, _: u32) -> Result<Self, FrameError> {
        Ok(Rooms { joined, after, limit })
    }
}
