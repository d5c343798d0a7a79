//! The last events of a room as bytes. A server encodes an event once for all members, so only one delivery in a thousand is
//! parsed, and the others are compared.

use std::collections::VecDeque;

use websocket::{append_text, frame_len};

/// Bounds the distance of an event from the first kept one, because each number between them takes a slot.
const MAX_EVENTS: u64 = 1 << 20;

/// The last events by number, bounded in bytes. The buffer of an evicted event is reused.
#[derive(Debug, Default)]
pub(crate) struct RecentFrames {
    /// The number of `frames[0]`.
    first: u64,
    /// Complete frames, as almost all members receive them. Empty where no member has received the event yet: a new member
    /// receives the newest events before others have received older ones.
    frames: VecDeque<Vec<u8>>,
    bytes: usize,
    limit: usize,
}

impl RecentFrames {
    pub(crate) fn new(limit: usize) -> Self {
        RecentFrames { limit, ..RecentFrames::default() }
    }

    pub(crate) fn frame(&self, seq: u64) -> Option<&[u8]> {
        let at = usize::try_from(seq.checked_sub(self.first)?).ok()?;
        self.frames.get(at).map(Vec::as_slice).filter(|frame| !frame.is_empty())
    }

    /// The event's JSON, without the header of its frame.
    pub(crate) fn json(&self, seq: u64) -> Option<&[u8]> {
        self.frame(seq).map(|frame| &frame[header_len(frame)..])
    }

    /// Keeps the event, unless it is already kept or older than all kept ones.
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
        // The newest event is kept even if it alone exceeds the bound.
        while self.bytes + length > self.limit
            && self.first < seq
            && let Some(oldest) = self.frames.pop_front()
        {
            self.bytes -= oldest.len();
            self.first += 1;
            kept = oldest;
        }
        // At most `MAX_EVENTS`, by the check above.
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
    fn only_the_last_events_are_kept() {
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
    fn skipped_event_is_kept_when_it_arrives() {
        let mut frames = RecentFrames::new(100);
        frames.offer(1, b"one");
        frames.offer(4, b"four");
        assert_eq!((frames.json(2), frames.json(3), frames.json(4)), (None, None, Some(&b"four"[..])));
        frames.offer(2, b"two");
        assert_eq!((frames.json(1), frames.json(2)), (Some(&b"one"[..]), Some(&b"two"[..])));
        assert_eq!((frames.json(3), frames.bytes), (None, 16));
    }

    #[test]
    fn memory_is_bounded_for_any_number() {
        let mut frames = RecentFrames::new(100);
        frames.offer(1, b"one");
        frames.offer(u64::MAX - 1, b"far");
        assert_eq!((frames.json(1), frames.json(u64::MAX - 1)), (None, Some(&b"far"[..])));
        assert_eq!((frames.frames.len(), frames.bytes), (1, 5));
    }

    #[test]
    fn one_event_beyond_the_bound_is_kept() {
        let mut frames = RecentFrames::new(4);
        frames.offer(1, b"a");
        frames.offer(2, b"larger");
        assert_eq!((frames.json(1), frames.json(2)), (None, Some(&b"larger"[..])));
        frames.offer(3, b"b");
        assert_eq!((frames.json(2), frames.json(3)), (None, Some(&b"b"[..])));
    }

    #[test]
    fn frames_of_any_length_are_kept_complete() {
        let mut frames = RecentFrames::new(1 << 20);
        for (seq, length) in (1..).zip([0, 125, 126, 65_535, 65_536]) {
            let json = vec![b'x'; length];
            frames.offer(seq, &json);
            assert_eq!(frames.frame(seq), Some(&*websocket::text_frame(&json)));
            assert_eq!(frames.json(seq), Some(&*json));
        }
    }
}
