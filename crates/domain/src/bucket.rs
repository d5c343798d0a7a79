//! Rate limiting: a token bucket in eight bytes.
//!
//! The generic cell rate algorithm (ITU-T I.371): instead of a token count and the time of its last update, a bucket stores
//! one moment, at which it will be full again. An idle bucket needs no update.

use std::time::Duration;

/// A rate limit: `burst` requests at once, then `per_second`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Tokens added per second; may be a fraction. A value that is not above 0 counts as one per year.
    pub per_second: f64,
    /// Tokens in a full bucket. 0 rejects every request.
    pub burst: u32,
}

/// One token per year: in effect never, and far from overflow when multiplied by a burst.
const SLOWEST: u64 = 365 * 24 * 3600 * 1_000_000_000;

impl Rate {
    /// Nanoseconds per token, rounded up so that rounding never admits more.
    fn nanos_per_token(self) -> u64 {
        if self.per_second > 0.0 {
            ((1e9 / self.per_second).ceil() as u64).clamp(1, SLOWEST)
        } else {
            SLOWEST
        }
    }
}

/// A token bucket, initially full. Each call passes the rate, so that the bucket stores nothing but its state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenBucket {
    /// When the bucket will be full again, in nanoseconds since the caller's start; 64 bits last 584 years.
    full_at: u64,
}

impl TokenBucket {
    /// Takes one token. The error is the time until one is available; a rejected call takes nothing, so a client that keeps
    /// sending is not locked out.
    pub fn take(&mut self, now: Duration, rate: Rate) -> Result<(), Duration> {
        let now = nanos(now);
        let per_token = rate.nanos_per_token();
        let capacity = per_token.saturating_mul(u64::from(rate.burst));
        // A bucket holds at least 0 tokens: the rate may have grown, or the clock may have gone back, since the last call.
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

    /// Returns the token of an operation that was not performed.
    pub fn refund(&mut self, rate: Rate) {
        self.full_at = self.full_at.saturating_sub(rate.nanos_per_token());
    }

    /// Whether the bucket equals a new one and can be dropped.
    #[must_use]
    pub fn is_full(&self, now: Duration) -> bool {
        self.full_at <= nanos(now)
    }

    /// The eviction order of a table of buckets: the smaller the value, the fuller the bucket.
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
    fn refunded_token_can_be_taken_again() {
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
    fn token_bucket_is_eight_bytes() {
        assert_eq!(size_of::<TokenBucket>(), 8);
    }

    #[test]
    fn take_after_burst_returns_wait_for_next_token() {
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
    fn rejected_take_costs_no_token() {
        let mut bucket = TokenBucket::default();
        while bucket.take(ms(0), RATE).is_ok() {}
        for _ in 0..1000 {
            assert_eq!(bucket.take(ms(199), RATE), Err(ms(1)));
        }
        assert_eq!(bucket.take(ms(200), RATE), Ok(()));
    }

    #[test]
    fn clock_step_back_neither_adds_nor_takes_tokens() {
        let mut bucket = TokenBucket::default();
        while bucket.take(Duration::from_secs(1_000_000), RATE).is_ok() {}
        assert_eq!(bucket.take(ms(0), RATE), Err(ms(200)));
        assert_eq!(bucket.take(ms(200), RATE), Ok(()));
        assert_eq!(bucket.take(ms(200), RATE), Err(ms(200)));
    }

    #[test]
    fn token_bucket_works_after_centuries_of_uptime() {
        let mut bucket = TokenBucket::default();
        for days in [0, 25, 49, 50, 400, 40_000, 200_000] {
            let now = Duration::from_secs(days * 86_400);
            assert_eq!((0..30).filter(|_| bucket.take(now, RATE).is_ok()).count(), 20, "after {days} days");
        }
    }

    #[test]
    fn zero_burst_rejects_and_zero_rate_grants_burst_once() {
        let no_burst = Rate { per_second: 5.0, burst: 0 };
        assert!(TokenBucket::default().take(ms(5), no_burst).is_err());
        for per_second in [0.0, -1.0, f64::NAN] {
            let mut bucket = TokenBucket::default();
            let rate = Rate { per_second, burst: 3 };
            assert_eq!((0..10).filter(|i| bucket.take(ms(i * 1000), rate).is_ok()).count(), 3);
        }
        let unlimited = Rate { per_second: f64::INFINITY, burst: u32::MAX };
        assert_eq!(TokenBucket::default().take(ms(5), unlimited), Ok(()));
    }

    #[test]
    fn fractional_token_interval_is_rounded_up() {
        let mut bucket = TokenBucket::default();
        let thirds = Rate { per_second: 3.0, burst: 1 };
        bucket.take(ms(0), thirds).unwrap();
        assert_eq!(bucket.take(Duration::from_nanos(333_333_333), thirds), Err(Duration::from_nanos(1)));
    }

    #[test]
    fn increased_rate_applies_to_an_empty_bucket() {
        let mut bucket = TokenBucket::default();
        while bucket.take(ms(0), Rate { per_second: 0.001, burst: 5 }).is_ok() {}
        assert_eq!(bucket.take(ms(0), RATE), Err(ms(200)));
        assert_eq!(bucket.take(ms(200), RATE), Ok(()));
    }

    proptest! {
        #[test]
        fn any_window_admits_at_most_burst_plus_rate(
            steps in prop::collection::vec(0u64..700, 1..200),
            per_second in 0.1f64..50.0,
            burst in 0u32..30,
        ) {
            let rate = Rate { per_second, burst };
            let mut bucket = TokenBucket::default();
            let mut now = 0;
            let mut admitted = Vec::new();
            for step in steps {
                now += step;
                if bucket.take(ms(now), rate).is_ok() {
                    admitted.push(now);
                }
            }
            for (i, from) in admitted.iter().enumerate() {
                for (j, to) in admitted.iter().enumerate().skip(i) {
                    let allowed = f64::from(burst) + per_second * (to - from) as f64 / 1000.0;
                    prop_assert!((j - i + 1) as f64 <= allowed + 1e-6, "{} in {} ms", j - i + 1, to - from);
                }
            }
        }

        #[test]
        fn take_after_the_returned_wait_succeeds(
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
