//! Bounds of a page of events.

use std::io;

use protocol::{Event, EventPage};

/// The largest size of a page. A page holds at least one event, if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageBounds {
    /// The number of events.
    pub limit: u32,
    /// The length of the events' JSON, with the commas between them.
    pub max_bytes: usize,
}

/// A page that a backend fills.
pub struct PageBuilder {
    bounds: PageBounds,
    bytes: usize,
    page: EventPage,
}

impl PageBuilder {
    /// An empty page.
    #[must_use]
    pub fn new(bounds: PageBounds) -> Self {
        PageBuilder { bounds, bytes: 0, page: EventPage { events: Vec::new(), more: false } }
    }

    /// How many events to request: one above the limit, to find out whether there are more.
    #[must_use]
    pub fn wanted(&self) -> u32 {
        self.bounds.limit.max(1).saturating_add(1)
    }

    /// Adds the next event. `false`: it does not fit, and the page is complete.
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

    /// The page.
    #[must_use]
    pub fn done(self) -> EventPage {
        self.page
    }

    /// The page, if it was filled from its newest end.
    #[must_use]
    pub fn done_reversed(mut self) -> EventPage {
        self.page.events.reverse();
        self.page
    }
}

/// The length of the event's JSON. It is counted and not kept: a page is encoded where it is sent.
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
    // Neither the writer nor the encoding can fail, and a slightly longer page would be harmless.
    let _ = serde_json::to_writer(&mut count, event);
    count.0
}
