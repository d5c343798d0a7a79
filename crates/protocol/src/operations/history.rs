//! `history`: pages through past events, which is also how a client fetches the range of a `gap`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::row::errors;
use super::{Operation, Permission, RateClass, Route, Row, room_ref};
#[cfg(doc)]
use crate::Limits;
use crate::{ErrorCode, EventPage, FrameError, RoomRef, Seq};

/// Read events after a number, or those right before a number, oldest first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct History {
    /// The room. The user must be a member.
    pub room: RoomRef,
    /// Events with a greater number, the nearest ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Seq>,
    /// Events with a smaller number, the nearest ones. Not together with `after`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Seq>,
    /// At most [`Limits::HISTORY_EVENTS`]; [`Limits::HISTORY_EVENTS_DEFAULT`] without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "HistoryRequest")]
pub struct Fields {
    /// The room, by id or name.
    #[schemars(with = "RoomRef")]
    room: String,
    /// Events with a greater number.
    after: Option<Seq>,
    /// Events with a smaller number, the nearest ones. Not together with `after`. With neither, the newest events.
    before: Option<Seq>,
    /// How many events at most: 500 at most, 100 without it.
    limit: Option<u32>,
}

impl Operation for History {
    type Fields = Fields;
    type Reply = EventPage;
    const ROW: Row = Row {
        name: "history",
        summary: "Reads a page of a room's events, oldest first.",
        reply: "`ok {events, more}`",
        http: Some(Route::get("/api/v1/rooms/{room}/events")),
        permission: Some(Permission::Member),
        rate: RateClass::Command,
        events: &[],
        errors: &[errors::COMMON, errors::ROOM, errors::READ, &[ErrorCode::NotAMember]],
        slash: None,
        requests: &[
            r#"{"type":"history","id":8,"room":"r1","before":58,"limit":50}"#,
            r#"{"type":"history","id":8,"room":"r1","after":58}"#,
        ],
        replies: &[
            r#"{"type":"ok","id":8,"events":[{"type":"message","room":"r1","seq":58,"n":52,"by":{"id":"u7","name":"李雷"},"at":"2026-11-22T10:00:00.123Z","client_message_id":"k","body":"你好"}],"more":true}"#,
        ],
    };

    fn check(Fields { room, after, before, limit }: Fields, _: u32) -> Result<Self, FrameError> {
        if after.is_some() && before.is_some() {
            return Err(FrameError::malformed("history takes after or before, not both"));
        }
        Ok(History { room: room_ref(&room)?, after, before, limit })
    }
}
