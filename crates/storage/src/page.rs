//! The bounds of a page of events, the same for every backend.

use std::io;

use protocol::{Event, EventPage};

/// The upper bounds of a page. A page contains at least one event if there is one, so that a client always makes progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageBounds {
    /// The most events.
    pub limit: u32,
    /// The most bytes of JSON of all events, with the commas between them.
    pub max_bytes: usize,
}

/// A page that a backend fills with events, one row at a time.
pub struct PageBuilder {
    bounds: PageBounds,
    bytes: usize,
    page: EventPage,
}

impl PageBuilder {
    /// An empty page with these bounds.
    #[must_use]
    pub fn new(bounds: PageBounds) -> Self {
        PageBuilder { bounds, bytes: 0, page: EventPage { events: Vec::new(), more: false } }
    }

    /// The number of events to request from the database: one above the limit, to determine `more`.
    #[must_use]
    pub fn wanted(&self) -> u32 {
        self.bounds.limit.max(1).saturating_add(1)
    }

    /// Adds the next event. Returns `false` if it does not fit; the page is then complete.
    pub fn take(&mut self, event: Event) -> bool {
        let count = self.page.events.len();
        self.bytes += json_bytes(&event) + usize::from(count > 0);
        if count > 0 && (count >= self.bounds.limit as usize || self.bytes > self.bounds.max_bytes) {
            self.page.more = true;
            return false;
        }
        self.page.events.push(event);
        true
    }

    /// The page, filled from its oldest event.
    #[must_use]
    pub fn done(self) -> EventPage {
        self.page
    }

    /// The page, filled from its newest event: the order is reversed.
    #[must_use]
    pub fn done_reversed(mut self) -> EventPage {
        self.page.events.reverse();
        self.page
    }
}

/// The length of the event's JSON, counted without keeping the text, because a page is encoded where it is sent.
fn json_bytes(event: &Event) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Cannot fail: the writer only counts. If it did, the page would be slightly too long.
    let _ = serde_json::to_writer(&mut count, event);
    count.0
}
