//! Whether the other side is still there. A connection that was cut in silence does not end for whoever only waits.

use std::time::{Duration, Instant};

/// When something came the last time.
pub(super) struct Pulse {
    heard: Instant,
    has_asked: bool,
    patience: Duration,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// Nothing.
    Life,
    /// Ask for a sign of life.
    Silence,
    /// Give it up.
    Death,
}

impl Pulse {
    pub(super) fn new(now: Instant, patience: Duration) -> Self {
        Pulse { heard: now, has_asked: false, patience }
    }

    /// Something came.
    pub(super) fn hear(&mut self, now: Instant) {
        self.heard = now;
        self.has_asked = false;
    }

    pub(super) fn feel(&mut self, now: Instant) -> Sign {
        let silent = now.saturating_duration_since(self.heard);
        if silent < self.patience {
            return Sign::Life;
        }
        if !self.has_asked {
            // The wait for the answer begins when it is asked for, however late that is.
            self.has_asked = true;
            self.heard = now - self.patience;
            return Sign::Silence;
        }
        if silent < 2 * self.patience { Sign::Life } else { Sign::Death }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(2);

    fn after(secs: u64) -> Instant {
        static BEGIN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        *BEGIN.get_or_init(|| Instant::now() + 10 * PATIENCE) + Duration::from_secs(secs)
    }

    #[test]
    fn silence_is_asked_about_once_and_then_given_up() {
        let mut pulse = Pulse::new(after(0), PATIENCE);
        let signs = [1, 2, 3, 4].map(|secs| pulse.feel(after(secs)));
        assert_eq!(signs, [Sign::Life, Sign::Silence, Sign::Life, Sign::Death]);
    }

    #[test]
    fn whoever_looked_too_late_still_asks_before_giving_up() {
        let mut pulse = Pulse::new(after(0), PATIENCE);
        let signs = [9, 10, 11].map(|secs| pulse.feel(after(secs)));
        assert_eq!(signs, [Sign::Silence, Sign::Life, Sign::Death]);
    }

    #[test]
    fn an_answer_begins_another_wait() {
        let mut pulse = Pulse::new(after(0), PATIENCE);
        assert_eq!(pulse.feel(after(2)), Sign::Silence);
        pulse.hear(after(3));
        let signs = [4, 5, 6, 7].map(|secs| pulse.feel(after(secs)));
        assert_eq!(signs, [Sign::Life, Sign::Silence, Sign::Life, Sign::Death]);
    }
}
