//! Catch-up: events that are no longer in the log come from the store, page by page, each after the peer has accepted the
//! previous one.
//!
//! Concurrent catch-ups share reads: connections that resume a room at the same cursor receive the same bytes.

use protocol::{Gap, RoomId, Seq};
use room_log::Outbox;

use super::connection::CatchUp;
use super::{ConnKey, Page, Query, QueryResult, Shard, ShardServices, Transport};
use crate::encoding::Encoding;
use crate::fault_injection::{self, FaultInjection};

/// The maximum number of events in a catch-up page. It bounds the memory of ten thousand concurrent catch-ups.
pub(crate) const PAGE_EVENTS: u32 = 128;
/// The number of pages that may be in progress for one connection: one is written while the next is read.
const PAGES: u8 = 2;
/// The maximum size of a catch-up page, see [`PAGE_EVENTS`].
pub(crate) const PAGE_BYTES: usize = 64 * 1024;

impl<T: Transport, S: ShardServices> Shard<T, S> {
    /// Starts a catch-up with the events after `after` up to `until`, which are not in the log, or sends a gap instead.
    pub(super) fn start_catch_up(&mut self, key: ConnKey, room: RoomId, after: Seq, until: Seq) {
        if until <= after {
            return;
        }
        if self.exceeds_catch_up_limit(after, until) {
            return self.send_gap(key, room, after, until);
        }
        self.metrics.caught_up(1);
        let Some(index) = self.rooms.index_of(room) else { return };
        if let Some(subscription) = self.connection(key).and_then(|connection| connection.subscription(index))
        {
            subscription.rare_state().catch_up =
                Some(CatchUp { after, until, requested: false, postponed: false });
        }
        self.request_page(key, room);
    }

    /// Whether the missed range exceeds the limit of a catch-up and is reported as a gap.
    pub(super) fn exceeds_catch_up_limit(&self, after: Seq, until: Seq) -> bool {
        until.0.saturating_sub(after.0) > u64::from(self.settings.limits.catch_up_events)
    }

    pub(super) fn send_gap(&mut self, key: ConnKey, room: RoomId, after: Seq, until: Seq) {
        if fault_injection::is(FaultInjection::ForgetGap) {
            return;
        }
        self.metrics.gaps(1);
        self.send_frame(key, Gap { room, from: after.next(), to: until }.into());
    }

    /// Requests the next page of a connection's catch-up, if the peer has accepted the previous one and none is in progress.
    pub(super) fn request_page(&mut self, key: ConnKey, room: RoomId) {
        let Some(index) = self.rooms.index_of(room) else { return };
        let Some(connection) = self.connection(key) else { return };
        // At most two pages at a time for any number of rooms; `resume_io` requests the next one.
        if connection.outbox.len() >= Outbox::PAUSE_BYTES || connection.store_reads >= PAGES {
            return;
        }
        let encoding = connection.encoding;
        let is_full = self.outboxes_are_full();
        let Some(catch_up) = self.catch_up(key, index).filter(|catch_up| catch_up.wants_page()) else {
            return;
        };
        if is_full {
            catch_up.postponed = true;
            self.postponed.push((key, room));
            return;
        }
        catch_up.requested = true;
        let (after, until) = (catch_up.after, catch_up.until);
        let Some(connection) = self.connection(key) else { return };
        connection.store_reads += 1;
        let waiters = self.rooms[index].pages.entry((after, until, encoding as usize)).or_default();
        waiters.push(key);
        if waiters.len() == 1 && self.services.read(Query::Page { room, after, until, encoding }).is_err() {
            self.page_failed(index, (after, until, encoding as usize));
        }
    }

    pub(super) fn handle_page(
        &mut self,
        room: RoomId,
        (after, until, encoding): (Seq, Seq, Encoding),
        page: Option<Page>,
    ) {
        let Some(index) = self.rooms.index_of(room) else { return };
        let range = (after, until, encoding as usize);
        let Some(page) = page else {
            self.page_failed(index, range);
            return;
        };
        for key in self.rooms[index].pages.remove(&range).unwrap_or_default() {
            // Also without a catch-up: another room of the connection may wait for the slot.
            self.finish_store_read(key);
            let subscription = self.connection(key).and_then(|connection| connection.subscription(index));
            let Some(subscription) = subscription else { continue };
            let Some(rare_state) = &mut subscription.rare_state else { continue };
            let Some(catch_up) = rare_state
                .catch_up
                .as_mut()
                .filter(|catch_up| (catch_up.after, catch_up.until) == (after, until))
            else {
                continue;
            };
            catch_up.after = page.last;
            catch_up.requested = false;
            if page.last >= until {
                rare_state.catch_up = None;
                subscription.compact();
            }
            self.send_shared(key, page.frames.clone());
        }
    }

    /// No reader was available: the waiting connections request the page again at the next tick.
    fn page_failed(&mut self, index: usize, range: (Seq, Seq, usize)) {
        let room = self.rooms[index].id;
        for key in self.rooms[index].pages.remove(&range).unwrap_or_default() {
            let same_range = |catch_up: &&mut CatchUp| (catch_up.after, catch_up.until) == (range.0, range.1);
            let Some(catch_up) = self.catch_up(key, index).filter(same_range) else {
                self.finish_store_read(key);
                continue;
            };
            (catch_up.requested, catch_up.postponed) = (false, true);
            self.postponed.push((key, room));
            if let Some(connection) = self.connection(key) {
                connection.store_reads = connection.store_reads.saturating_sub(1);
            }
        }
    }

    fn catch_up(&mut self, key: ConnKey, index: usize) -> Option<&mut CatchUp> {
        self.connection(key)?.subscription(index)?.rare_state.as_mut()?.catch_up.as_mut()
    }

    pub(super) fn request_postponed_pages(&mut self) {
        for (key, room) in std::mem::take(&mut self.postponed) {
            let Some(index) = self.rooms.index_of(room) else { continue };
            if let Some(catch_up) = self.catch_up(key, index) {
                catch_up.postponed = false;
            }
            self.request_page(key, room);
        }
    }

    pub(crate) fn handle_query_result(&mut self, now: std::time::Duration, found: QueryResult) {
        self.now = now;
        match found {
            QueryResult::Page { room, after, until, encoding, page } => {
                self.handle_page(room, (after, until, encoding), page.ok());
            }
            QueryResult::Backfill { room, events } => self.handle_backfill(room, events),
            QueryResult::Heads { heads } => self.handle_heads(heads),
            QueryResult::Operation { origin, effects } => self.handle_read_done(origin, effects),
        }
    }
}
