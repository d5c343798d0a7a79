//! What is no longer in the log comes from the store, a page at a time, each page when the one before has been taken.
//!
//! Concurrent catch-ups share reads: everybody who comes back to a room with the same cursor gets the same bytes.

use protocol::{RoomId, Seq};
use room_log::Outbox;

use super::connection::CatchUp;
use super::{ConnKey, Found, Page, Query, Shard, ShardServices, Transport};
use crate::encoding::Encoding;

/// Pages of a catch-up hold at most this many events and bytes, so that ten thousand at once are affordable.
pub(crate) const PAGE_EVENTS: u32 = 128;
/// How many pages may be under way for one connection.
const PAGES: u8 = 2;
/// See [`PAGE_EVENTS`].
pub(crate) const PAGE_BYTES: usize = 64 * 1024;

impl<L: Transport, O: ShardServices> Shard<L, O> {
    /// Asks for the next page of a connection's catch-up, if it has one, has taken what it was given, and none is under way.
    pub(super) fn ask_for_page(&mut self, of: ConnKey, room: RoomId) {
        let Some(index) = self.rooms.index_of(room) else { return };
        let Some(connection) = self.connection(of) else { return };
        // Two at a time, however many rooms it came back to: `resume_io` asks for the next.
        if connection.outbox.len() >= Outbox::PAUSE_BYTES || connection.reading_store >= PAGES {
            return;
        }
        let encoding = connection.encoding;
        let is_full = self.is_full();
        let Some(catch_up) = self.catch_up(of, index).filter(|it| !it.asked && !it.postponed) else { return };
        if is_full {
            catch_up.postponed = true;
            self.postponed.push((of, room));
            return;
        }
        catch_up.asked = true;
        let (after, until) = (catch_up.after, catch_up.until);
        let Some(connection) = self.connection(of) else { return };
        connection.reading_store += 1;
        let waiters = self.rooms[index].pages.entry((after, until, encoding as usize)).or_default();
        waiters.push(of);
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
        let key = (after, until, encoding as usize);
        let Some(page) = page else {
            self.page_failed(index, key);
            return;
        };
        for of in self.rooms[index].pages.remove(&key).unwrap_or_default() {
            // Also if nobody wants it any more: another room may wait for its place.
            self.one_read_less(of);
            let subscription = self.connection(of).and_then(|connection| connection.subscription(index));
            let Some(subscription) = subscription else { continue };
            let Some(special) = &mut subscription.special else { continue };
            let Some(catch_up) =
                special.catch_up.as_mut().filter(|mine| (mine.after, mine.until) == (after, until))
            else {
                continue;
            };
            catch_up.after = page.last;
            catch_up.asked = false;
            if page.last >= until {
                special.catch_up = None;
                subscription.compact();
            }
            self.send_shared(of, page.frames.clone());
        }
    }

    /// Nobody could read it now: whoever waits asks again at the next tick.
    fn page_failed(&mut self, index: usize, key: (Seq, Seq, usize)) {
        let room = self.rooms[index].id;
        for of in self.rooms[index].pages.remove(&key).unwrap_or_default() {
            let mine = |it: &&mut CatchUp| (it.after, it.until) == (key.0, key.1);
            let Some(catch_up) = self.catch_up(of, index).filter(mine) else {
                self.one_read_less(of);
                continue;
            };
            (catch_up.asked, catch_up.postponed) = (false, true);
            self.postponed.push((of, room));
            if let Some(connection) = self.connection(of) {
                connection.reading_store = connection.reading_store.saturating_sub(1);
            }
        }
    }

    fn catch_up(&mut self, of: ConnKey, index: usize) -> Option<&mut CatchUp> {
        self.connection(of)?.subscription(index)?.special.as_mut()?.catch_up.as_mut()
    }

    pub(super) fn ask_for_postponed_pages(&mut self) {
        for (of, room) in std::mem::take(&mut self.postponed) {
            let Some(index) = self.rooms.index_of(room) else { continue };
            if let Some(catch_up) = self.catch_up(of, index) {
                catch_up.postponed = false;
            }
            self.ask_for_page(of, room);
        }
    }

    /// What a reader found.
    pub(crate) fn handle_found(&mut self, now: std::time::Duration, found: Found) {
        self.now = now;
        match found {
            Found::Page { room, after, until, encoding, page } => {
                self.handle_page(room, (after, until, encoding), page.ok());
            }
            Found::Fill { room, events } => self.handle_filling(room, events),
            Found::Heads { heads } => self.handle_heads(heads),
            Found::Operation { of, id, effects } => self.handle_read_done(of, id, effects),
        }
    }
}
