//! Latencies in microseconds. Each quantile is exact to two significant digits, in a fixed amount of memory.

/// Longer times count as this: an hour, the longest run.
const MAX_US: u64 = 3_600_000_000;

/// A histogram of times in microseconds.
#[derive(Clone, Debug)]
pub(crate) struct Histogram(hdrhistogram::Histogram<u64>);

impl Default for Histogram {
    fn default() -> Self {
        // The bounds are constants that the library accepts: 1 ≤ low, 2 × low ≤ high, at most 5 digits.
        Histogram(
            hdrhistogram::Histogram::new_with_bounds(1, MAX_US, 2).expect("the constant bounds are valid"),
        )
    }
}

impl Histogram {
    pub(crate) fn record(&mut self, micros: u64) {
        self.0.saturating_record(micros);
    }

    #[must_use]
    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// The maximum, rounded up to the end of its bucket.
    #[must_use]
    pub(crate) fn max(&self) -> u64 {
        self.0.max()
    }

    /// The time that `share` (0 to 1) of all times do not exceed, rounded up to the end of its bucket.
    #[must_use]
    pub(crate) fn quantile(&self, share: f64) -> u64 {
        self.0.value_at_quantile(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_known_times_are_exact() {
        let mut histogram = Histogram::default();
        assert_eq!((histogram.quantile(0.5), histogram.max(), histogram.count()), (0, 0, 0));
        for micros in 1..=50 {
            histogram.record(micros);
        }
        let quantiles = [0.0, 0.5, 0.99, 1.0].map(|share| histogram.quantile(share));
        assert_eq!((quantiles, histogram.max(), histogram.count()), ([1, 25, 50, 50], 50, 50));
    }

    #[test]
    fn time_above_the_bound_counts_as_the_bound() {
        let mut histogram = Histogram::default();
        histogram.record(u64::MAX);
        assert!(histogram.quantile(1.0) >= MAX_US && histogram.count() == 1);
    }
}
