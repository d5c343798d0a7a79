//! One coarse timer wheel for all connections of a shard: a deadline costs its place in a slot, and no timer of its own.

use std::time::Duration;

/// A moment, in tenths of a second since the process began. 13 years fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tick(u32);

impl Tick {
    /// How long a tick is.
    pub(crate) const LENGTH: Duration = Duration::from_millis(100);

    pub(crate) fn of(moment: Duration) -> Self {
        Tick(u32::try_from(moment.as_millis() / 100).unwrap_or(u32::MAX))
    }

    /// The first tick at which `wait` has passed since this one.
    pub(crate) fn after(self, wait: Duration) -> Self {
        Tick(self.0.saturating_add(Tick::of(wait).0).saturating_add(1))
    }

    /// Whether `wait` has passed since this one.
    pub(crate) fn is_older_than(self, wait: Duration, now: Tick) -> bool {
        now >= self.after(wait)
    }
}

/// Slots of a tick each: 102 s in all, more than any deadline unless configured so; a later one goes round again.
const SLOTS: usize = 1024;

pub(crate) struct Wheel {
    slots: Vec<Vec<usize>>,
    /// The last tick that was turned past.
    turned: Tick,
}

impl Default for Wheel {
    fn default() -> Self {
        Wheel { slots: vec![Vec::new(); SLOTS], turned: Tick(0) }
    }
}

impl Wheel {
    /// Notes that `index` is to be looked at when `due` has come. Returns the tick at which it will be.
    pub(crate) fn note(&mut self, index: usize, due: Tick) -> Tick {
        let horizon = self.turned.0 + SLOTS as u32 - 1;
        let due = Tick(due.0.clamp(self.turned.0 + 1, horizon));
        self.slots[due.0 as usize % SLOTS].push(index);
        due
    }

    /// Everything that is due by `now`, with the tick it was noted for.
    pub(crate) fn turn(&mut self, now: Tick, due: &mut Vec<(usize, Tick)>) {
        while self.turned < now {
            self.turned.0 += 1;
            let slot = &mut self.slots[self.turned.0 as usize % SLOTS];
            due.extend(slot.drain(..).map(|index| (index, self.turned)));
            // What thousands of connections once needed at the same tick is not kept for ever.
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
        wheel.turn(Tick(5000), &mut due);
        let noted = [5000, 5001, 5003, 5800, 9000].map(|tick| wheel.note(tick, Tick(tick as u32)));
        assert_eq!(noted[0], Tick(5001), "what is past is due at once");
        assert_eq!(
            noted[4],
            Tick(5000 + SLOTS as u32 - 1),
            "what is beyond the horizon is looked at on the way"
        );
        wheel.turn(Tick(5002), &mut due);
        assert_eq!(due, [(5000, Tick(5001)), (5001, Tick(5001))]);
        due.clear();
        wheel.turn(Tick(20_000), &mut due);
        assert_eq!(due.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [5003, 5800, 9000]);
    }

    #[test]
    fn wait_is_never_shorter_than_requested() {
        let begun = Tick::of(Duration::from_millis(199));
        assert!(!begun.is_older_than(Duration::from_millis(100), Tick::of(Duration::from_millis(250))));
        assert!(begun.is_older_than(Duration::from_millis(100), Tick::of(Duration::from_millis(300))));
    }
}
