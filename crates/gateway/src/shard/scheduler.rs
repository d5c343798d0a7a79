//! What the shard does next: connections to read, connections to write, rooms to fan out.

use std::collections::VecDeque;
use std::time::Duration;

/// The ready queues, each first in, first out. The owner of a queued item keeps a flag that the item is queued, so that an item
/// is in a queue once and queueing needs no search.
#[derive(Debug, Default)]
pub(crate) struct Scheduler {
    /// Connections with bytes to read.
    read: VecDeque<usize>,
    /// Connections with private bytes to write, or that became writable.
    write: VecDeque<usize>,
    /// Rooms with events to deliver, served round-robin.
    fanout: VecDeque<usize>,
    /// Large rooms whose fan-out is delayed, with the time when it is due, in that order.
    delayed: VecDeque<(Duration, usize)>,
}

impl Scheduler {
    pub(super) fn push_read(&mut self, connection: usize) {
        self.read.push_back(connection);
    }

    pub(super) fn pop_read(&mut self) -> Option<usize> {
        self.read.pop_front()
    }

    pub(super) fn reads(&self) -> usize {
        self.read.len()
    }

    pub(super) fn push_write(&mut self, connection: usize) {
        self.write.push_back(connection);
    }

    pub(super) fn pop_write(&mut self) -> Option<usize> {
        self.write.pop_front()
    }

    pub(super) fn writes(&self) -> usize {
        self.write.len()
    }

    pub(super) fn push_fanout(&mut self, room: usize) {
        self.fanout.push_back(room);
    }

    pub(super) fn pop_fanout(&mut self) -> Option<usize> {
        self.fanout.pop_front()
    }

    /// Removes a room that was closed, because another room may get its index.
    pub(super) fn remove_fanout(&mut self, room: usize) {
        self.fanout.retain(|&queued| queued != room);
    }

    /// Delays the fan-out of a room until `due`, which must not be before the last delayed one.
    pub(super) fn delay_fanout(&mut self, due: Duration, room: usize) {
        debug_assert!(self.delayed.back().is_none_or(|(last, _)| *last <= due));
        self.delayed.push_back((due, room));
    }

    /// The next delayed room that is due, with its due time.
    pub(super) fn pop_due_fanout(&mut self, now: Duration) -> Option<(Duration, usize)> {
        self.delayed.pop_front_if(|(due, _)| *due <= now)
    }

    pub(super) fn has_no_output(&self) -> bool {
        self.write.is_empty() && self.fanout.is_empty()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.read.is_empty() && self.has_no_output()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delayed_fanout_is_due_in_order_and_not_before() {
        let s = Duration::from_secs;
        let mut scheduler = Scheduler::default();
        scheduler.delay_fanout(s(1), 7);
        scheduler.delay_fanout(s(2), 8);
        assert_eq!(scheduler.pop_due_fanout(s(0)), None);
        assert_eq!(scheduler.pop_due_fanout(s(1)), Some((s(1), 7)));
        assert_eq!(scheduler.pop_due_fanout(s(1)), None);
        assert!(scheduler.is_idle(), "a delayed room is not ready");
    }

    #[test]
    fn removed_room_has_no_turn() {
        let mut scheduler = Scheduler::default();
        for room in [1, 2, 1] {
            scheduler.push_fanout(room);
        }
        scheduler.remove_fanout(1);
        assert_eq!((scheduler.pop_fanout(), scheduler.pop_fanout()), (Some(2), None));
    }
}
