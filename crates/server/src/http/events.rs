//! `/api/v1/rooms/{room}/events`: a page of a room's log, for its members. The same objects as on the wire.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::header::HeaderMap;
use proto::{ErrorCode, EventPage, Limits, RoomRef, Seq, UserId};
use rules::{Deed, Standing};
use serde::Deserialize;
use store::{PageBounds, Reader, StoreError};

use super::identity::Credential;
use super::origin::Sender;
use super::{Front, Refusal};

/// Which stretch. `after` and `before` exclude each other; with neither, the newest events.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Stretch {
    after: Option<u64>,
    before: Option<u64>,
    limit: Option<u32>,
}

/// `GET`
pub(super) async fn page(
    State(front): State<Arc<Front>>,
    room: Result<Path<String>, axum::extract::rejection::PathRejection>,
    stretch: Result<Query<Stretch>, axum::extract::rejection::QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let sender = Sender::of(&headers, &front.config.allowed_origins)?;
    let identity = front.must_identify(Credential::of(&headers, &sender)).await?;
    let user = identity.person.id;
    let rate = front.config.limits.rates.others;
    front.spend(&front.readers, &user, rate, "too many pages of history")?;
    let malformed = |_| Refusal::new(ErrorCode::Malformed, "after, before and limit are whole numbers");
    let Query(stretch) = stretch.map_err(malformed)?;
    if stretch.after.is_some() && stretch.before.is_some() {
        return Err(Refusal::new(ErrorCode::Malformed, "after and before exclude each other"));
    }
    let room = room.ok().and_then(|Path(room)| room.parse::<RoomRef>().ok());
    let room = room.ok_or_else(|| Refusal::new(ErrorCode::InvalidName, "this is no room's id or name"))?;
    let read = front.house.read(move |reader| read(reader, &room, user, stretch)).await?;
    let page = read.map_err(|error| Refusal::of_store(&error))??;
    Ok(axum::Json(page).into_response())
}

fn read(
    reader: &mut dyn Reader,
    room: &RoomRef,
    user: UserId,
    stretch: Stretch,
) -> Result<Result<EventPage, ErrorCode>, StoreError> {
    let Some(info) = reader.room(room)? else { return Ok(Err(ErrorCode::RoomNotFound)) };
    let standing = Standing { member: reader.is_member(info.room, user)?, rooms_joined: 0 };
    if let Err(code) = rules::check(Deed::History, standing, &rules::RoomLimits::default()) {
        return Ok(Err(code));
    }
    let limit = stretch.limit.unwrap_or(Limits::HISTORY_EVENTS_DEFAULT).clamp(1, Limits::HISTORY_EVENTS);
    let bounds = PageBounds { limit, max_bytes: Limits::HISTORY_BYTES };
    // Beyond the head there is nothing, however far; SQLite counts to 2^63.
    let up_to_head = |seq: u64| Seq(seq.min(info.head.seq.0 + 1));
    Ok(Ok(match (stretch.after, stretch.before) {
        (Some(after), _) => reader.events_after(info.room, up_to_head(after), None, bounds)?,
        (None, before) => reader.events_before(info.room, up_to_head(before.unwrap_or(u64::MAX)), bounds)?,
    }))
}
