//! A coarse timer wheel for all connections of a shard: a deadline costs one entry in a slot.

use std::time::Duration;

/// A time in tenths of a second since the start of the process; 32 bits last 13 years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tick(u32);

impl Tick {
    /// Later than any deadline.
    pub(crate) const MAX: Tick = Tick(u32::MAX);
    /// Precise enough for timeouts of seconds, and rare enough to cost nothing.
    pub(crate) const LENGTH: Duration = Duration::from_millis(100);

    pub(crate) fn of(moment: Duration) -> Self {
        Tick(u32::try_from(moment.as_millis() / 100).unwrap_or(u32::MAX))
    }

    /// The first tick at which `wait` has elapsed since this one.
    pub(crate) fn after(self, wait: Duration) -> Self {
        Tick(self.0.saturating_add(Tick::of(wait).0).saturating_add(1))
    }

    pub(crate) fn is_older_than(self, wait: Duration, now: Tick) -> bool {
        now >= self.after(wait)
    }
}

/// The number of slots: 102 s, more than any default timeout. Later deadlines are scheduled again from the last slot.
const SLOTS: usize = 1024;

pub(crate) struct Wheel {
    slots: Vec<Vec<usize>>,
    /// The last tick that has expired.
    current: Tick,
}

impl Default for Wheel {
    fn default() -> Self {
        Wheel { slots: vec![Vec::new(); SLOTS], current: Tick(0) }
    }
}

impl Wheel {
    /// Schedules a check of `index` at `due`. Returns the tick of the check, which is earlier if `due` is beyond the horizon.
    pub(crate) fn schedule(&mut self, index: usize, due: Tick) -> Tick {
        let horizon = self.current.0 + SLOTS as u32 - 1;
        let due = Tick(due.0.clamp(self.current.0 + 1, horizon));
        self.slots[due.0 as usize % SLOTS].push(index);
        due
    }

    /// Appends all entries that are due by `now`, with the tick that each was scheduled for.
    pub(crate) fn advance(&mut self, now: Tick, due: &mut Vec<(usize, Tick)>) {
        while self.current < now {
            self.current.0 += 1;
            let slot = &mut self.slots[self.current.0 as usize % SLOTS];
            due.extend(slot.drain(..).map(|index| (index, self.current)));
            // Frees the memory of a burst of deadlines in one tick.
            slot.shrink_to(64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadline_is_due_once_and_never_early() {
        let mut wheel = Wheel::default();
        let mut due = Vec::new();
        wheel.advance(Tick(5000), &mut due);
        let scheduled = [5000, 5001, 5003, 5800, 9000].map(|tick| wheel.schedule(tick, Tick(tick as u32)));
        assert_eq!(scheduled[0], Tick(5001), "a past deadline is due at the next tick");
        assert_eq!(
            scheduled[4],
            Tick(5000 + SLOTS as u32 - 1),
            "a deadline beyond the horizon is checked at the horizon"
        );
        wheel.advance(Tick(5002), &mut due);
        assert_eq!(due, [(5000, Tick(5001)), (5001, Tick(5001))]);
        due.clear();
        wheel.advance(Tick(20_000), &mut due);
        assert_eq!(due.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [5003, 5800, 9000]);
    }

    #[test]
    fn tick_is_not_older_than_a_wait_that_has_not_elapsed() {
        let start = Tick::of(Duration::from_millis(199));
        assert!(!start.is_older_than(Duration::from_millis(100), Tick::of(Duration::from_millis(250))));
        assert!(start.is_older_than(Duration::from_millis(100), Tick::of(Duration::from_millis(300))));
    }
}
