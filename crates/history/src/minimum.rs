//! The activity that a history must contain before its verdict means anything.

use std::fmt;
use std::str::FromStr;

use crate::Counts;

/// The minimum of each counter. A server that rejects every connection or command violates no guarantee, so each test states
/// the activity that it requires.
///
/// ```
/// use teahouse_history::{Counts, MinimumActivity};
///
/// let minimum: MinimumActivity = "acknowledged=10,percent=50".parse()?;
/// let counts = Counts { operations: 30, acknowledged: 12, ..Counts::default() };
/// let [shortfall] = &minimum.shortfalls(&counts)[..] else { panic!("{counts}") };
/// assert_eq!(shortfall.to_string(), "40 percent of all attempts were acknowledged, expected at least 50");
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MinimumActivity {
    /// Attempts that received `ok`.
    pub acknowledged: u64,
    /// Acknowledged attempts, in percent of all attempts.
    pub percent: u64,
    /// Events that were delivered live or by catch-up.
    pub deliveries: u64,
    /// Cursors from which a client resumed.
    pub resumed: u64,
    /// Views that were quiescent and complete at the end of the run.
    pub views: u64,
}

/// A counter below its minimum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortfall {
    description: &'static str,
    actual: u64,
    minimum: u64,
}

/// A counter with its name in the text form.
struct Measure {
    name: &'static str,
    description: &'static str,
    minimum: fn(&mut MinimumActivity) -> &mut u64,
    actual: fn(&Counts) -> u64,
}

const MEASURES: [Measure; 5] = [
    Measure {
        name: "acknowledged",
        description: "attempts were acknowledged",
        minimum: |minimum| &mut minimum.acknowledged,
        actual: |counts| counts.acknowledged,
    },
    Measure {
        name: "percent",
        description: "percent of all attempts were acknowledged",
        minimum: |minimum| &mut minimum.percent,
        actual: |counts| counts.acknowledged * 100 / counts.operations.max(1),
    },
    Measure {
        name: "deliveries",
        description: "events were delivered",
        minimum: |minimum| &mut minimum.deliveries,
        actual: |counts| counts.deliveries,
    },
    Measure {
        name: "resumed",
        description: "cursors were resumed",
        minimum: |minimum| &mut minimum.resumed,
        actual: |counts| counts.resumed,
    },
    Measure {
        name: "views",
        description: "views were complete at the end",
        minimum: |minimum| &mut minimum.views,
        actual: |counts| counts.complete_views,
    },
];

impl MinimumActivity {
    /// The counters below this minimum; empty if the history is sufficient.
    #[must_use]
    pub fn shortfalls(mut self, counts: &Counts) -> Vec<Shortfall> {
        let shortfall = |it: &Measure| {
            let (actual, minimum) = ((it.actual)(counts), *(it.minimum)(&mut self));
            (actual < minimum).then_some(Shortfall { description: it.description, actual, minimum })
        };
        MEASURES.iter().filter_map(shortfall).collect()
    }
}

/// Formats the text that `from_str` parses: `acknowledged=10,percent=50,deliveries=0,resumed=0,views=0`.
impl fmt::Display for MinimumActivity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut it = *self;
        for (place, measure) in MEASURES.iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            write!(f, "{comma}{}={}", measure.name, (measure.minimum)(&mut it))?;
        }
        Ok(())
    }
}

/// Parses the text form. Counters that it does not name have no minimum.
impl FromStr for MinimumActivity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut minimum = Self::default();
        for part in text.split(',') {
            let (name, count) = part.split_once('=').ok_or_else(|| format!("{part:?} is not NAME=COUNT"))?;
            let measure = MEASURES.iter().find(|measure| measure.name == name);
            let measure = measure.ok_or_else(|| format!("unknown counter {name:?}"))?;
            *(measure.minimum)(&mut minimum) =
                count.parse().map_err(|_| format!("{count:?} is not a count"))?;
        }
        Ok(minimum)
    }
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}, expected at least {}", self.actual, self.description, self.minimum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMUM: MinimumActivity =
        MinimumActivity { acknowledged: 10, percent: 50, deliveries: 30, resumed: 4, views: 5 };

    #[test]
    fn counts_equal_to_the_minimum_suffice() {
        let counts = Counts {
            operations: 20,
            acknowledged: 10,
            deliveries: 30,
            resumed: 4,
            complete_views: 5,
            ..Counts::default()
        };
        assert_eq!(MINIMUM.shortfalls(&counts), []);
    }

    #[test]
    fn each_count_below_the_minimum_is_reported() {
        let shortfalls = MINIMUM.shortfalls(&Counts { operations: 21, acknowledged: 9, ..Counts::default() });
        let texts: Vec<_> = shortfalls.iter().map(Shortfall::to_string).collect();
        assert_eq!(
            texts,
            [
                "9 attempts were acknowledged, expected at least 10",
                "42 percent of all attempts were acknowledged, expected at least 50",
                "0 events were delivered, expected at least 30",
                "0 cursors were resumed, expected at least 4",
                "0 views were complete at the end, expected at least 5",
            ]
        );
    }

    #[test]
    fn empty_history_is_below_any_minimum() {
        assert!(
            !MinimumActivity { percent: 1, ..MinimumActivity::default() }
                .shortfalls(&Counts::default())
                .is_empty()
        );
    }

    #[test]
    fn display_is_parsed_back() {
        assert_eq!(MINIMUM.to_string().parse(), Ok(MINIMUM));
        for wrong in ["", "acknowledged", "acknowledged=-1", "sent=1"] {
            wrong.parse::<MinimumActivity>().unwrap_err();
        }
    }
}
