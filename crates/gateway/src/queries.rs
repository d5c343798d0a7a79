//! The queries of shards, executed on a reader's thread.

use protocol::{CommandId, EventPage, Limits, OkFrame, Seq, ServerFrame};
use storage::{PageBounds, Reader};

use crate::encoding::{Encoding, event_frame, json_frame};
#[cfg(feature = "fault-injection")]
use crate::fault_injection::{self, FaultInjection};
use crate::operations::{HandlerEffect, report};
use crate::shard::{PAGE_BYTES, PAGE_EVENTS, Page, Query, QueryResult};

/// Executes a query. A failure is logged here; the shard repeats the query, or returns the error code to the client.
pub(crate) fn run_query(query: Query, reader: &mut dyn Reader) -> QueryResult {
    match query {
        Query::Page { room, after, until, encoding } => {
            let bounds = PageBounds { limit: PAGE_EVENTS, max_bytes: PAGE_BYTES };
            let events =
                reader.events_after(room, after, Some(until), bounds).map_err(|error| report(&error));
            let page = events.map(|events| page_of(&events, after, until, encoding));
            QueryResult::Page { room, after, until, encoding, page }
        }
        Query::Backfill { room, after } => {
            let bounds = PageBounds { limit: Limits::HISTORY_EVENTS, max_bytes: Limits::HISTORY_BYTES };
            let page = reader.events_after(room, after, None, bounds).map_err(|error| report(&error));
            QueryResult::Backfill { room, events: page.map(|page| page.events) }
        }
        Query::Heads { rooms } => {
            let heads = reader.heads(&rooms).map_err(|error| report(&error)).unwrap_or_default();
            let heads =
                rooms.into_iter().zip(heads).map(|(room, head)| (room, head.map(|head| head.seq))).collect();
            QueryResult::Heads { heads }
        }
        Query::Operation { origin, encoding, operation } => {
            let effects = operation.read(origin.user, reader).into_iter();
            let effects = effects.filter_map(|effect| encode_reply(effect, origin.id, encoding)).collect();
            QueryResult::Operation { origin, effects }
        }
    }
}

/// Encodes a reply on the reader's thread, because a page of history is the largest reply. Replies in plain text are left to the
/// codec on the shard's thread, which has state.
fn encode_reply(effect: HandlerEffect, id: Option<CommandId>, encoding: Encoding) -> Option<HandlerEffect> {
    match (effect, encoding) {
        // A command without an id has no reply but an error.
        (HandlerEffect::Reply(reply), Encoding::Json) => {
            let frame = ServerFrame::from(OkFrame::new(Some(id?), reply));
            Some(HandlerEffect::Frame(json_frame(&frame).into()))
        }
        (effect, _) => Some(effect),
    }
}

fn page_of(page: &EventPage, after: Seq, until: Seq, encoding: Encoding) -> Page {
    let mut frames = Vec::new();
    for event in &page.events {
        #[cfg(feature = "fault-injection")]
        if fault_injection::is(FaultInjection::DropOnResume) && fault_injection::is_selected(event) {
            continue;
        }
        frames.extend_from_slice(&event_frame(event, encoding));
    }
    // A deleted room has no events: the catch-up is complete.
    let last = page.events.last().map_or(until, |event| event.seq).max(after);
    Page { frames: frames.into(), last: if page.more { last } else { until } }
}
