//! `/api/v1/rooms/{room}/events`: a page of a room's log, for its members. The same objects as on the wire.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::header::HeaderMap;
use protocol::{ErrorCode, History, RoomRef, Seq};
use serde::Deserialize;

use super::identity::Credential;
use super::origin::RequestOrigin;
use super::{ApiError, HttpState};
use crate::queries::history_of;

/// Which stretch. `after` and `before` exclude each other; with neither, the newest events.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct EventRange {
    after: Option<u64>,
    before: Option<u64>,
    limit: Option<u32>,
}

/// `GET`
pub(super) async fn page(
    State(front): State<Arc<HttpState>>,
    room: Result<Path<String>, axum::extract::rejection::PathRejection>,
    stretch: Result<Query<EventRange>, axum::extract::rejection::QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let sender = RequestOrigin::of(&headers, &front.config.allowed_origins)?;
    let identity = front.must_identify(Credential::of(&headers, &sender)).await?;
    let user = identity.person.id;
    let rate = front.config.limits.rates.others;
    front.acquire(&front.readers, &user, rate, "too many pages of history")?;
    let malformed = |_| ApiError::new(ErrorCode::Malformed, "after, before and limit are whole numbers");
    let Query(stretch) = stretch.map_err(malformed)?;
    if stretch.after.is_some() && stretch.before.is_some() {
        return Err(ApiError::new(ErrorCode::Malformed, "after and before exclude each other"));
    }
    let room = room.ok().and_then(|Path(room)| room.parse::<RoomRef>().ok());
    let room = room.ok_or_else(|| ApiError::new(ErrorCode::InvalidName, "this is no room's id or name"))?;
    let EventRange { after, before, limit } = stretch;
    let history = History { room, after: after.map(Seq), before: before.map(Seq), limit };
    let page = front.app.read(move |reader| history_of(reader, user, &history)).await??;
    Ok(axum::Json(page).into_response())
}
