//! How much has to have happened before a history says anything.

use std::fmt;
use std::str::FromStr;

use crate::Counts;

/// Where nobody is let in, or all is refused, every promise is kept. So whoever puts a server to the test says what it has to have
/// done at the least.
///
/// ```
/// use teahouse_history::{Counts, Least};
///
/// let least: Least = "acknowledged=10,percent=50".parse()?;
/// let counts = Counts { operations: 30, acknowledged: 12, ..Counts::default() };
/// let [lack] = &least.missing_from(&counts)[..] else { panic!("{counts}") };
/// assert_eq!(lack.to_string(), "40 per cent of all attempts were acknowledged, and at least 50 had to be");
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MinimumActivity {
    /// Attempts that were answered with `ok`.
    pub acknowledged: u64,
    /// Of all attempts, in per cent.
    pub percent: u64,
    /// Events that came by themselves.
    pub deliveries: u64,
    /// Cursors with which somebody came back.
    pub resumed: u64,
    /// Views that were at rest in the end, and complete.
    pub views: u64,
}

/// Something of which there was too little.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortfall {
    description: &'static str,
    actual: u64,
    minimum: u64,
}

/// One thing that is counted.
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
        description: "per cent of all attempts were acknowledged",
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
    /// What a history with these counts has too little of.
    #[must_use]
    pub fn shortfalls(mut self, counts: &Counts) -> Vec<Shortfall> {
        let shortfall = |it: &Measure| {
            let (actual, minimum) = ((it.actual)(counts), *(it.minimum)(&mut self));
            (actual < minimum).then_some(Shortfall { description: it.description, actual, minimum })
        };
        MEASURES.iter().filter_map(shortfall).collect()
    }
}

/// As it is read again: `acknowledged=10,percent=50,deliveries=0,resumed=0,views=0`.
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

/// What is not named may be nothing.
impl FromStr for MinimumActivity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut minimum = Self::default();
        for part in text.split(',') {
            let (name, count) = part.split_once('=').ok_or_else(|| format!("{part:?} is no NAME=COUNT"))?;
            let measure = MEASURES.iter().find(|measure| measure.name == name);
            let measure = measure.ok_or_else(|| format!("nothing is called {name:?}"))?;
            *(measure.minimum)(&mut minimum) = count.parse().map_err(|_| format!("{count:?} is no count"))?;
        }
        Ok(minimum)
    }
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}, and at least {} had to be", self.actual, self.description, self.minimum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMUM: MinimumActivity =
        MinimumActivity { acknowledged: 10, percent: 50, deliveries: 30, resumed: 4, views: 5 };

    #[test]
    fn what_just_suffices_is_enough() {
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
    fn each_thing_that_is_too_little_is_named() {
        let shortfalls = MINIMUM.shortfalls(&Counts { operations: 21, acknowledged: 9, ..Counts::default() });
        let said: Vec<_> = shortfalls.iter().map(Shortfall::to_string).collect();
        assert_eq!(
            said,
            [
                "9 attempts were acknowledged, and at least 10 had to be",
                "42 per cent of all attempts were acknowledged, and at least 50 had to be",
                "0 events were delivered, and at least 30 had to be",
                "0 cursors were resumed, and at least 4 had to be",
                "0 views were complete at the end, and at least 5 had to be",
            ]
        );
    }

    #[test]
    fn history_in_which_nothing_happened_is_not_enough() {
        assert!(
            !MinimumActivity { percent: 1, ..MinimumActivity::default() }
                .shortfalls(&Counts::default())
                .is_empty()
        );
    }

    #[test]
    fn what_is_written_is_read_again() {
        assert_eq!(MINIMUM.to_string().parse(), Ok(MINIMUM));
        for wrong in ["", "acknowledged", "acknowledged=-1", "said=1"] {
            wrong.parse::<MinimumActivity>().unwrap_err();
        }
    }
}
