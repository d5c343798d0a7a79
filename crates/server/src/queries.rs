//! The queries of shards, carried out on a reader's thread.

use protocol::{EventPage, Limits, Seq};
use storage::{PageBounds, Reader};

use crate::encoding::{Encoding, event_frame};
#[cfg(feature = "fault-injection")]
use crate::fault_injection::{self, FaultInjection};
pub(crate) use crate::operations::{history_of, report};
use crate::shard::{PAGE_BYTES, PAGE_EVENTS, Page, Query, QueryResult};

/// Carries out `query`.
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
        Query::Operation { of, caller, operation } => {
            let id = caller.id;
            QueryResult::Operation { of, id, effects: operation.read(caller, reader) }
        }
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
    // A room that is gone has no events any more: there is nothing to wait for.
    let last = page.events.last().map_or(until, |event| event.seq).max(after);
    Page { frames: frames.into(), last: if page.more { last } else { until } }
}
