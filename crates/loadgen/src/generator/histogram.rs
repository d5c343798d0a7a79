//! Times in microseconds, counted in buckets that are at most 3.2 % wide.

/// Buckets for each doubling; below twice this, a bucket for each microsecond.
const STEPS: u64 = 32;

/// How often each time was seen. Its size is fixed, whatever comes.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { counts: vec![0; bucket(u64::MAX) + 1], total: 0, max: 0 }
    }
}

impl Histogram {
    /// Counts one.
    pub(crate) fn record(&mut self, micros: u64) {
        self.counts[bucket(micros)] += 1;
        self.total += 1;
        self.max = self.max.max(micros);
    }

    /// How many were counted.
    #[must_use]
    pub(crate) fn count(&self) -> u64 {
        self.total
    }

    /// The greatest.
    #[must_use]
    pub(crate) fn max(&self) -> u64 {
        self.max
    }

    /// The time that `share` (0 to 1) of all do not exceed; rounded up to the bucket's end.
    #[must_use]
    pub(crate) fn quantile(&self, share: f64) -> u64 {
        let rank = ((self.total as f64 * share).ceil() as u64).clamp(1, self.total.max(1));
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper_end(index).min(self.max);
            }
        }
        self.max
    }
}

fn bucket(value: u64) -> usize {
    let doublings = (value / STEPS).checked_ilog2().unwrap_or(0);
    (u64::from(doublings) * STEPS + (value >> doublings)) as usize
}

fn upper_end(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let doublings = (bucket / STEPS).saturating_sub(1);
    let value = u128::from(bucket - doublings * STEPS + 1) << doublings;
    u64::try_from(value - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quantiles_of_a_hundred() {
        let mut histogram = Histogram::default();
        assert_eq!((histogram.quantile(0.5), histogram.max()), (0, 0));
        for value in 1..=50 {
            histogram.record(value);
        }
        assert_eq!(
            (histogram.quantile(0.5), histogram.quantile(0.99), histogram.quantile(1.0)),
            (25, 50, 50)
        );
        assert_eq!((histogram.total, histogram.quantile(0.0)), (50, 1));
    }

    proptest! {
        #[test]
        fn a_bucket_is_narrow_and_holds_its_value(value: u64) {
            let end = upper_end(bucket(value));
            prop_assert!(end >= value && end - value <= value / STEPS, "{value} {end}");
            prop_assert!(bucket(value) == 0 || upper_end(bucket(value) - 1) < value);
        }
    }
}
