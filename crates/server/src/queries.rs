//! What shards ask the store's readers, carried out on a reader's thread; replies that are large are encoded there.

use proto::{CommandId, ErrorCode, EventPage, History, Limits, OkFrame, Outcome, Seq, ServerFrame, UserId};
use rules::{Deed, RoomLimits, Standing};
use store::{PageBounds, Reader, Refusal, RoomQuery, StoreError};

use crate::encoding::{Encoding, event_frame, json_frame};
#[cfg(feature = "sabotage")]
use crate::sabotage::{self, Sabotage};
use crate::shard::{Found, PAGE_BYTES, PAGE_EVENTS, Page, Query};

/// Carries out `query`.
pub(crate) fn carry_out(query: Query, reader: &mut dyn Reader) -> Found {
    match query {
        Query::Page { room, after, until, encoding } => {
            let bounds = PageBounds { limit: PAGE_EVENTS, max_bytes: PAGE_BYTES };
            let events =
                reader.events_after(room, after, Some(until), bounds).map_err(|error| report(&error));
            let page = events.map(|events| page_of(&events, after, until, encoding));
            Found::Page { room, after, until, encoding, page }
        }
        Query::Fill { room, after } => {
            let bounds = PageBounds { limit: Limits::HISTORY_EVENTS, max_bytes: Limits::HISTORY_BYTES };
            let page = reader.events_after(room, after, None, bounds).map_err(|error| report(&error));
            Found::Fill { room, events: page.map(|page| page.events) }
        }
        Query::Heads { rooms } => {
            let heads = reader.heads(&rooms).map_err(|error| report(&error)).unwrap_or_default();
            let heads =
                rooms.into_iter().zip(heads).map(|(room, head)| (room, head.map(|head| head.seq))).collect();
            Found::Heads { heads }
        }
        Query::History { of, id, user, history } => {
            let page = history_of(reader, user, &history);
            // Without an id only a refusal is answered.
            let frame =
                page.map(|page| id.map(|id| history_frame(id, page))).map_err(|refusal| (id, refusal));
            Found::History { of, frame }
        }
        Query::Rooms { of, id, user, rooms } => {
            let limit = rooms.limit.unwrap_or(Limits::PAGE).clamp(1, Limits::PAGE);
            let query = RoomQuery { user, joined: rooms.joined, after: rooms.after, limit };
            let page = reader.rooms(query).map_err(|error| Refusal::from(report(&error)));
            Found::Rooms { of, id, page }
        }
    }
}

fn page_of(page: &EventPage, after: Seq, until: Seq, encoding: Encoding) -> Page {
    let mut frames = Vec::new();
    for event in &page.events {
        #[cfg(feature = "sabotage")]
        if sabotage::is(Sabotage::DropOnResume) && sabotage::is_unlucky(event) {
            continue;
        }
        frames.extend_from_slice(&event_frame(event, encoding));
    }
    // A room that is gone has no events any more: there is nothing to wait for.
    let last = page.events.last().map_or(until, |event| event.seq).max(after);
    Page { frames: frames.into(), last: if page.more { last } else { until } }
}

/// A stretch of a room's events, for a member: for the command `history`, and over HTTP.
pub(crate) fn history_of(
    reader: &mut dyn Reader,
    user: UserId,
    history: &History,
) -> Result<EventPage, Refusal> {
    let refuse = |error: StoreError| Refusal::from(report(&error));
    let found = reader.room(&history.room).map_err(refuse)?;
    let room = found.ok_or_else(|| Refusal::from(ErrorCode::RoomNotFound))?.room;
    let member = reader.is_member(room, user).map_err(refuse)?;
    rules::check(Deed::History, Standing { member, rooms_joined: 0 }, &RoomLimits::default())
        .map_err(Refusal::from)?;
    let limit = history.limit.unwrap_or(Limits::HISTORY_EVENTS_DEFAULT).clamp(1, Limits::HISTORY_EVENTS);
    let bounds = PageBounds { limit, max_bytes: Limits::HISTORY_BYTES };
    let page = match (history.after, history.before) {
        (Some(after), _) => reader.events_after(room, after, None, bounds),
        (None, Some(before)) => reader.events_before(room, before, bounds),
        // Beyond the head there is nothing, however far.
        (None, None) => reader.events_before(room, Seq(u64::MAX), bounds),
    };
    page.map_err(refuse)
}

/// A stretch as the command's reply.
fn history_frame(id: CommandId, page: EventPage) -> bytes::Bytes {
    json_frame(&ServerFrame::from(OkFrame { id: Some(id), outcome: Outcome::Events(page) })).into()
}

fn report(error: &StoreError) -> ErrorCode {
    tracing::error!(reason = %error, "the store could not be read");
    error.refusal().code
}
