//! The configured rate limits, and the token buckets of users and of addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use protocol::RateClass;

use crate::{Rate, TokenBucket};

/// The configured rate limits, by what a request costs: per user, for all of its connections and HTTP requests together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Whether requests are limited; `false` for load tests and trusted bots.
    pub enabled: bool,
    /// `send` and `set_topic`: each is fanned out to a whole room.
    pub messages: Rate,
    /// `join`. A `join` that creates a room is charged to `new_rooms` as well.
    pub joins: Rate,
    /// `typing`. The web client sends one every 3 s.
    pub typing: Rate,
    /// Every other command.
    pub commands: Rate,
    /// Rooms created by `join`, charged in addition to `joins`.
    pub new_rooms: Rate,
    /// Guests created, per address: before that there is no user.
    pub guest_creation: Rate,
}

impl Default for Rates {
    fn default() -> Self {
        Rates {
            enabled: true,
            messages: Rate { per_second: 5.0, burst: 20 },
            joins: Rate { per_second: 2.0, burst: 20 },
            typing: Rate { per_second: 2.0, burst: 10 },
            commands: Rate { per_second: 20.0, burst: 60 },
            new_rooms: Rate { per_second: 1.0 / 30.0, burst: 5 },
            guest_creation: Rate { per_second: 1.0, burst: 30 },
        }
    }
}

/// The token buckets of a user, shared by its connections and its HTTP requests.
#[derive(Clone, Copy, Debug, Default)]
pub struct UserBuckets {
    messages: TokenBucket,
    joins: TokenBucket,
    typing: TokenBucket,
    commands: TokenBucket,
    new_rooms: TokenBucket,
}

impl UserBuckets {
    /// Takes one token. The error is the time until one is available.
    pub fn take(&mut self, class: RateClass, now: Duration, rates: &Rates) -> Result<(), Duration> {
        if !rates.enabled {
            return Ok(());
        }
        let (bucket, rate) = self.bucket(class, rates);
        bucket.take(now, rate)
    }

    /// Returns the token of an operation that was not performed.
    pub fn refund(&mut self, class: RateClass, rates: &Rates) {
        if rates.enabled {
            let (bucket, rate) = self.bucket(class, rates);
            bucket.refund(rate);
        }
    }

    /// Whether no request has to be remembered any more.
    #[must_use]
    pub fn are_full(&self, now: Duration) -> bool {
        [self.messages, self.joins, self.typing, self.commands, self.new_rooms]
            .iter()
            .all(|bucket| bucket.is_full(now))
    }

    fn bucket(&mut self, class: RateClass, rates: &Rates) -> (&mut TokenBucket, Rate) {
        match class {
            RateClass::Message => (&mut self.messages, rates.messages),
            RateClass::Join => (&mut self.joins, rates.joins),
            RateClass::Typing => (&mut self.typing, rates.typing),
            RateClass::Command => (&mut self.commands, rates.commands),
            RateClass::NewRoom => (&mut self.new_rooms, rates.new_rooms),
        }
    }
}

/// A bounded table with a bucket for each key. Full buckets are evicted first; where none is full, the fullest one is, since
/// it admits the fewest additional requests. So an attacker who chooses the keys can neither grow the table nor reset a bucket.
///
/// A key should be costly to have many of, such as the first 64 bits of an IPv6 address.
#[derive(Clone, Debug)]
pub struct KeyedBuckets<K> {
    buckets: BTreeMap<K, TokenBucket>,
    /// The same buckets by the time at which they are full: eviction is O(log n) under a flood of keys.
    by_fullness: BTreeSet<(u64, K)>,
    capacity: usize,
}

impl<K: Ord + Clone> Default for KeyedBuckets<K> {
    fn default() -> Self {
        Self::with_capacity(Self::CAPACITY)
    }
}

impl<K: Ord + Clone> KeyedBuckets<K> {
    /// The default capacity in keys: about 6 MiB of addresses.
    pub const CAPACITY: usize = 65_536;

    /// An empty table of at most `capacity` keys.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        KeyedBuckets { buckets: BTreeMap::new(), by_fullness: BTreeSet::new(), capacity: capacity.max(1) }
    }

    /// Takes one token from the bucket of `key`. The error is the time until one is available.
    pub fn take(&mut self, key: &K, now: Duration, rate: Rate) -> Result<(), Duration> {
        // Evicts up to two entries per possible insertion: the table shrinks after a flood without a full scan.
        for _ in 0..2 {
            self.evict_fullest_if(|bucket| bucket.is_full(now));
        }
        let mut bucket = self.remove(key).unwrap_or_default();
        let outcome = bucket.take(now, rate);
        if !bucket.is_full(now) {
            if self.buckets.len() == self.capacity {
                self.evict_fullest_if(|_| true);
            }
            self.by_fullness.insert((bucket.full_at(), key.clone()));
            self.buckets.insert(key.clone(), bucket);
        }
        outcome
    }

    /// The number of keys in the table, at most its capacity.
    #[must_use]
    pub fn len(&self) -> usize {
        self.buckets.len()
    }

    /// Whether the table is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    fn remove(&mut self, key: &K) -> Option<TokenBucket> {
        let bucket = self.buckets.remove(key)?;
        self.by_fullness.remove(&(bucket.full_at(), key.clone()));
        Some(bucket)
    }

    fn evict_fullest_if(&mut self, condition: impl Fn(&TokenBucket) -> bool) {
        let Some((_, key)) = self.by_fullness.first() else { return };
        if self.buckets.get(key).is_some_and(condition) {
            let key = key.clone();
            self.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_second: 1.0, burst: 3 };

    fn s(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    #[test]
    fn each_rate_class_has_its_own_bucket() {
        let rates = Rates::default();
        let all = [
            (RateClass::Message, 20),
            (RateClass::Join, 20),
            (RateClass::Typing, 10),
            (RateClass::Command, 60),
            (RateClass::NewRoom, 5),
        ];
        let mut user = UserBuckets::default();
        for (class, burst) in all {
            for i in 0..burst {
                assert_eq!(user.take(class, s(1), &rates), Ok(()), "{class:?} {i}");
            }
            assert!(user.take(class, s(1), &rates).is_err(), "{class:?}");
        }
        assert_eq!(user.take(RateClass::NewRoom, s(1), &rates), Err(s(30)));
        assert!(!user.are_full(s(150)), "five rooms, one per 30 s");
        assert!(user.are_full(s(151)));
    }

    #[test]
    fn disabled_rates_reject_nothing() {
        let rates = Rates { enabled: false, ..Rates::default() };
        let mut user = UserBuckets::default();
        for _ in 0..10_000 {
            assert_eq!(user.take(RateClass::NewRoom, s(1), &rates), Ok(()));
        }
    }

    #[test]
    fn each_address_has_its_own_tokens() {
        let mut addresses = KeyedBuckets::default();
        for _ in 0..3 {
            assert_eq!(addresses.take(&"a", s(0), RATE), Ok(()));
        }
        assert_eq!(addresses.take(&"a", s(0), RATE), Err(s(1)));
        assert_eq!(addresses.take(&"b", s(0), RATE), Ok(()));
        assert_eq!(addresses.take(&"a", s(1), RATE), Ok(()));
    }

    #[test]
    fn flood_of_keys_does_not_grow_the_table() {
        let mut addresses = KeyedBuckets::with_capacity(100);
        for key in 0..10_000u32 {
            assert_eq!(addresses.take(&key, s(0), RATE), Ok(()));
            assert!(addresses.len() <= 100);
            assert_eq!(addresses.buckets.len(), addresses.by_fullness.len());
        }
    }

    #[test]
    fn flood_of_keys_does_not_evict_an_empty_bucket() {
        let mut addresses = KeyedBuckets::with_capacity(100);
        while addresses.take(&u32::MAX, s(0), RATE).is_ok() {}
        for key in 0..10_000u32 {
            let _ = addresses.take(&key, s(0), RATE);
        }
        assert_eq!(addresses.take(&u32::MAX, s(0), RATE), Err(s(1)));
    }

    #[test]
    fn full_buckets_are_evicted() {
        let mut addresses = KeyedBuckets::default();
        for key in 0..100u32 {
            addresses.take(&key, s(0), RATE).unwrap();
        }
        assert_eq!(addresses.len(), 100);
        for i in 0..100 {
            let _ = addresses.take(&1000, s(10 + i), RATE);
        }
        assert_eq!(addresses.len(), 1);
    }
}
