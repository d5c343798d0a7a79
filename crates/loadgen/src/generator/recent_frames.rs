//! The last events of a room as bytes. A server encodes an event once for all members, so of a thousand deliveries one is
//! read and the others are compared.

use std::collections::VecDeque;

use websocket::{append_text, frame_len};

/// The farthest that an event may be ahead of the first one that is kept: what is between them takes its place in memory.
const MAX_EVENTS: u64 = 1 << 20;

/// The last events by number. Bounded in bytes; what is pushed out lends its memory to what comes in.
#[derive(Debug, Default)]
pub(crate) struct RecentFrames {
    /// The number of `frames[0]`.
    first: u64,
    /// Whole frames, as almost all members read them. Empty where nobody has heard the event yet: who has just come hears
    /// the newest before others have heard what is older.
    frames: VecDeque<Vec<u8>>,
    bytes: usize,
    limit: usize,
}

impl RecentFrames {
    pub(crate) fn new(limit: usize) -> Self {
        RecentFrames { limit, ..RecentFrames::default() }
    }

    /// The event's frame.
    pub(crate) fn frame(&self, seq: u64) -> Option<&[u8]> {
        let at = usize::try_from(seq.checked_sub(self.first)?).ok()?;
        self.frames.get(at).map(Vec::as_slice).filter(|frame| !frame.is_empty())
    }

    /// The event's JSON.
    pub(crate) fn json(&self, seq: u64) -> Option<&[u8]> {
        self.frame(seq).map(|frame| &frame[header_len(frame)..])
    }

    /// Keeps the event, unless it is kept already or is older than all that is.
    pub(crate) fn offer(&mut self, seq: u64, json: &[u8]) {
        if self.frames.is_empty() || seq.saturating_sub(self.first) > MAX_EVENTS {
            self.frames.clear();
            (self.first, self.bytes) = (seq, 0);
        }
        if seq < self.first || self.frame(seq).is_some() {
            return;
        }
        let length = frame_len(json.len());
        let mut kept = Vec::new();
        // The one that is compared next is kept even if it alone is beyond the bound.
        while self.bytes + length > self.limit
            && self.first < seq
            && let Some(oldest) = self.frames.pop_front()
        {
            self.bytes -= oldest.len();
            self.first += 1;
            kept = oldest;
        }
        // The bounds above keep this small.
        let at = (seq - self.first) as usize;
        if at >= self.frames.len() {
            self.frames.resize_with(at + 1, Vec::new);
        }
        kept.clear();
        append_text(&mut kept, json);
        self.bytes += kept.len();
        self.frames[at] = kept;
    }
}

fn header_len(frame: &[u8]) -> usize {
    match frame.get(1) {
        Some(126) => 4,
        Some(127) => 10,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_events_are_found_by_number_and_older_ones_are_gone() {
        let mut frames = RecentFrames::new(15);
        for seq in 5..=9 {
            frames.offer(seq, format!("ev{seq}").as_bytes());
            assert!(frames.bytes <= 15);
        }
        assert_eq!(
            (frames.json(6), frames.json(7), frames.json(9)),
            (None, Some(&b"ev7"[..]), Some(&b"ev9"[..]))
        );
        assert_eq!(frames.frame(8), Some(&b"\x81\x03ev8"[..]));
        assert_eq!((frames.json(10), frames.json(0), frames.bytes), (None, None, 15));
        frames.offer(8, b"again");
        frames.offer(6, b"late");
        assert_eq!((frames.json(8), frames.json(6), frames.bytes), (Some(&b"ev8"[..]), None, 15));
    }

    #[test]
    fn what_was_skipped_is_kept_when_it_is_heard() {
        let mut frames = RecentFrames::new(100);
        frames.offer(1, b"one");
        frames.offer(4, b"four");
        assert_eq!((frames.json(2), frames.json(3), frames.json(4)), (None, None, Some(&b"four"[..])));
        frames.offer(2, b"two");
        assert_eq!((frames.json(1), frames.json(2)), (Some(&b"one"[..]), Some(&b"two"[..])));
        assert_eq!((frames.json(3), frames.bytes), (None, 16));
    }

    #[test]
    fn whatever_number_comes_memory_is_bounded() {
        let mut frames = RecentFrames::new(100);
        frames.offer(1, b"one");
        frames.offer(u64::MAX - 1, b"far");
        assert_eq!((frames.json(1), frames.json(u64::MAX - 1)), (None, Some(&b"far"[..])));
        assert_eq!((frames.frames.len(), frames.bytes), (1, 5));
    }

    #[test]
    fn one_event_beyond_the_bound_is_kept_alone() {
        let mut frames = RecentFrames::new(4);
        frames.offer(1, b"a");
        frames.offer(2, b"larger");
        assert_eq!((frames.json(1), frames.json(2)), (None, Some(&b"larger"[..])));
        frames.offer(3, b"b");
        assert_eq!((frames.json(2), frames.json(3)), (None, Some(&b"b"[..])));
    }

    #[test]
    fn frames_of_all_lengths_are_found_whole() {
        let mut frames = RecentFrames::new(1 << 20);
        for (seq, length) in (1..).zip([0, 125, 126, 65_535, 65_536]) {
            let json = vec![b'x'; length];
            frames.offer(seq, &json);
            assert_eq!(frames.frame(seq), Some(&*websocket::text_frame(&json)));
            assert_eq!(frames.json(seq), Some(&*json));
        }
    }
}
