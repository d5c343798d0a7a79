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
pub struct Least {
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
pub struct Lack {
    what: &'static str,
    was: u64,
    least: u64,
}

/// One thing that is counted.
struct Measure {
    name: &'static str,
    what: &'static str,
    least: fn(&mut Least) -> &mut u64,
    was: fn(&Counts) -> u64,
}

const MEASURES: [Measure; 5] = [
    Measure {
        name: "acknowledged",
        what: "attempts were acknowledged",
        least: |least| &mut least.acknowledged,
        was: |counts| counts.acknowledged,
    },
    Measure {
        name: "percent",
        what: "per cent of all attempts were acknowledged",
        least: |least| &mut least.percent,
        was: |counts| counts.acknowledged * 100 / counts.operations.max(1),
    },
    Measure {
        name: "deliveries",
        what: "events were delivered",
        least: |least| &mut least.deliveries,
        was: |counts| counts.deliveries,
    },
    Measure {
        name: "resumed",
        what: "cursors were resumed",
        least: |least| &mut least.resumed,
        was: |counts| counts.resumed,
    },
    Measure {
        name: "views",
        what: "views were complete at the end",
        least: |least| &mut least.views,
        was: |counts| counts.complete_views,
    },
];

impl Least {
    /// What a history with these counts has too little of.
    #[must_use]
    pub fn missing_from(mut self, counts: &Counts) -> Vec<Lack> {
        let lack = |it: &Measure| {
            let (was, least) = ((it.was)(counts), *(it.least)(&mut self));
            (was < least).then_some(Lack { what: it.what, was, least })
        };
        MEASURES.iter().filter_map(lack).collect()
    }
}

/// As it is read again: `acknowledged=10,percent=50,deliveries=0,resumed=0,views=0`.
impl fmt::Display for Least {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut it = *self;
        for (place, measure) in MEASURES.iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            write!(f, "{comma}{}={}", measure.name, (measure.least)(&mut it))?;
        }
        Ok(())
    }
}

/// What is not named may be nothing.
impl FromStr for Least {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut least = Self::default();
        for part in text.split(',') {
            let (name, count) = part.split_once('=').ok_or_else(|| format!("{part:?} is no NAME=COUNT"))?;
            let measure = MEASURES.iter().find(|measure| measure.name == name);
            let measure = measure.ok_or_else(|| format!("nothing is called {name:?}"))?;
            *(measure.least)(&mut least) = count.parse().map_err(|_| format!("{count:?} is no count"))?;
        }
        Ok(least)
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}, and at least {} had to be", self.was, self.what, self.least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: Least = Least { acknowledged: 10, percent: 50, deliveries: 30, resumed: 4, views: 5 };

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
        assert_eq!(LEAST.missing_from(&counts), []);
    }

    #[test]
    fn each_thing_that_is_too_little_is_named() {
        let lacks = LEAST.missing_from(&Counts { operations: 21, acknowledged: 9, ..Counts::default() });
        let said: Vec<_> = lacks.iter().map(Lack::to_string).collect();
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
        assert!(!Least { percent: 1, ..Least::default() }.missing_from(&Counts::default()).is_empty());
    }

    #[test]
    fn what_is_written_is_read_again() {
        assert_eq!(LEAST.to_string().parse(), Ok(LEAST));
        for wrong in ["", "acknowledged", "acknowledged=-1", "said=1"] {
            wrong.parse::<Least>().unwrap_err();
        }
    }
}
