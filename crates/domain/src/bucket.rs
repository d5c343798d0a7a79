//! How often somebody may do something: a token bucket in eight bytes.
//!
//! The generic cell rate algorithm (ITU-T I.371): instead of a number of tokens and the time at which it was right, it keeps
//! one moment, the one at which the bucket will be full again. An idle bucket costs nothing to keep up to date.

use std::time::Duration;

/// How often: `burst` at once, and then `per_second`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Tokens that come back each second; may be a fraction. What is not above 0 counts as one a year.
    pub per_second: f64,
    /// Tokens that a full bucket holds. 0 refuses everything.
    pub burst: u32,
}

/// One in a year: slow enough for "never", and small enough to count with.
const SLOWEST: u64 = 365 * 24 * 3600 * 1_000_000_000;

impl Rate {
    /// Nanoseconds for one token. Rounded up, so that rounding never lets more through.
    fn nanos_per_token(self) -> u64 {
        if self.per_second > 0.0 {
            ((1e9 / self.per_second).ceil() as u64).clamp(1, SLOWEST)
        } else {
            SLOWEST
        }
    }
}

/// Starts full. The rate is given with each call, so that a bucket is no larger than what it must remember.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenBucket {
    /// When it will be full again, in nanoseconds since the caller's start: that counts 584 years.
    full_at: u64,
}

impl TokenBucket {
    /// Takes one token, or says after how long there will be one. Being refused costs nothing.
    pub fn take(&mut self, now: Duration, rate: Rate) -> Result<(), Duration> {
        let now = nanos(now);
        let per_token = rate.nanos_per_token();
        let capacity = per_token.saturating_mul(u64::from(rate.burst));
        // No bucket is emptier than empty: after a larger rate or an earlier clock it does not wait for the old one.
        self.full_at = self.full_at.min(now.saturating_add(capacity));
        let full_at = self.full_at.max(now).saturating_add(per_token);
        match (full_at - now).checked_sub(capacity) {
            None | Some(0) => {
                self.full_at = full_at;
                Ok(())
            }
            Some(wait) => Err(Duration::from_nanos(wait)),
        }
    }

    /// Gives back a token that was taken for something that did not happen.
    pub fn refund(&mut self, rate: Rate) {
        self.full_at = self.full_at.saturating_sub(rate.nanos_per_token());
    }

    /// Whether it is as good as a new one, and need not be kept.
    #[must_use]
    pub fn is_full(&self, now: Duration) -> bool {
        self.full_at <= nanos(now)
    }

    /// The smaller, the fuller: by this a table of buckets chooses which one to forget.
    pub(crate) fn full_at(&self) -> u64 {
        self.full_at
    }
}

fn nanos(moment: Duration) -> u64 {
    u64::try_from(moment.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RATE: Rate = Rate { per_second: 5.0, burst: 20 };

    #[test]
    fn a_token_that_was_put_back_can_be_taken_again() {
        let mut bucket = TokenBucket::default();
        for _ in 0..RATE.burst {
            bucket.take(ms(0), RATE).unwrap();
        }
        assert!(bucket.take(ms(0), RATE).is_err());
        bucket.refund(RATE);
        assert!(bucket.take(ms(0), RATE).is_ok());
        assert!(bucket.take(ms(0), RATE).is_err());
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_bucket_is_eight_bytes() {
        assert_eq!(size_of::<TokenBucket>(), 8);
    }

    #[test]
    fn a_burst_passes_and_the_next_one_waits_for_its_token() {
        let mut bucket = TokenBucket::default();
        for _ in 0..20 {
            assert_eq!(bucket.take(ms(1000), RATE), Ok(()));
        }
        assert_eq!(bucket.take(ms(1000), RATE), Err(ms(200)));
        assert_eq!(bucket.take(ms(1150), RATE), Err(ms(50)));
        assert_eq!(bucket.take(ms(1200), RATE), Ok(()));
        assert_eq!(bucket.take(ms(1200), RATE), Err(ms(200)));
    }

    #[test]
    fn being_refused_costs_nothing() {
        let mut bucket = TokenBucket::default();
        while bucket.take(ms(0), RATE).is_ok() {}
        for _ in 0..1000 {
            assert_eq!(bucket.take(ms(199), RATE), Err(ms(1)));
        }
        assert_eq!(bucket.take(ms(200), RATE), Ok(()));
    }

    #[test]
    fn clock_that_goes_back_neither_adds_nor_takes_tokens() {
        let mut bucket = TokenBucket::default();
        while bucket.take(Duration::from_secs(1_000_000), RATE).is_ok() {}
        assert_eq!(bucket.take(ms(0), RATE), Err(ms(200)));
        assert_eq!(bucket.take(ms(200), RATE), Ok(()));
        assert_eq!(bucket.take(ms(200), RATE), Err(ms(200)));
    }

    #[test]
    fn a_bucket_outlives_any_uptime() {
        let mut bucket = TokenBucket::default();
        for days in [0, 25, 49, 50, 400, 40_000, 200_000] {
            let now = Duration::from_secs(days * 86_400);
            assert_eq!((0..30).filter(|_| bucket.take(now, RATE).is_ok()).count(), 20, "after {days} days");
        }
    }

    #[test]
    fn zero_burst_refuses_and_zero_rate_gives_the_burst_once() {
        let refused = Rate { per_second: 5.0, burst: 0 };
        assert!(TokenBucket::default().take(ms(5), refused).is_err());
        for per_second in [0.0, -1.0, f64::NAN] {
            let mut bucket = TokenBucket::default();
            let rate = Rate { per_second, burst: 3 };
            assert_eq!((0..10).filter(|i| bucket.take(ms(i * 1000), rate).is_ok()).count(), 3);
        }
        let endless = Rate { per_second: f64::INFINITY, burst: u32::MAX };
        assert_eq!(TokenBucket::default().take(ms(5), endless), Ok(()));
    }

    #[test]
    fn rounding_never_lets_more_through() {
        let mut bucket = TokenBucket::default();
        let thirds = Rate { per_second: 3.0, burst: 1 };
        bucket.take(ms(0), thirds).unwrap();
        assert_eq!(bucket.take(Duration::from_nanos(333_333_333), thirds), Err(Duration::from_nanos(1)));
    }

    #[test]
    fn a_larger_rate_does_not_wait_for_the_old_one() {
        let mut bucket = TokenBucket::default();
        while bucket.take(ms(0), Rate { per_second: 0.001, burst: 5 }).is_ok() {}
        assert_eq!(bucket.take(ms(0), RATE), Err(ms(200)));
        assert_eq!(bucket.take(ms(200), RATE), Ok(()));
    }

    proptest! {
        #[test]
        fn no_window_lets_more_through_than_its_burst_and_rate(
            steps in prop::collection::vec(0u64..700, 1..200),
            per_second in 0.1f64..50.0,
            burst in 0u32..30,
        ) {
            let rate = Rate { per_second, burst };
            let mut bucket = TokenBucket::default();
            let mut now = 0;
            let mut passed = Vec::new();
            for step in steps {
                now += step;
                if bucket.take(ms(now), rate).is_ok() {
                    passed.push(now);
                }
            }
            for (i, from) in passed.iter().enumerate() {
                for (j, to) in passed.iter().enumerate().skip(i) {
                    let allowed = f64::from(burst) + per_second * (to - from) as f64 / 1000.0;
                    prop_assert!((j - i + 1) as f64 <= allowed + 1e-6, "{} in {} ms", j - i + 1, to - from);
                }
            }
        }

        #[test]
        fn whoever_waits_as_long_as_told_is_let_through(
            steps in prop::collection::vec(0u64..700, 1..200),
            per_second in 0.1f64..50.0,
            burst in 1u32..30,
        ) {
            let rate = Rate { per_second, burst };
            let mut bucket = TokenBucket::default();
            let mut now = Duration::ZERO;
            for step in steps {
                now += ms(step);
                if let Err(wait) = bucket.take(now, rate) {
                    now += wait;
                    prop_assert_eq!(bucket.take(now, rate), Ok(()));
                }
            }
        }
    }
}
