//! Sessions of guests who are not stored yet, and sessions that have just ended.
//!
//! A guest is stored with the first `join` or `rename`, so that a guest who only reads lists costs no row. Until then the
//! session is in memory, and a restart forgets it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::TokenHash;
use protocol::User;

/// The most guests kept in memory, about 20 MB. Beyond it the oldest is dropped.
const MAX_PROVISIONAL: usize = 100_000;

/// How long a guest who is not stored is kept after the creation of its session.
const PROVISIONAL_TTL: Duration = Duration::from_secs(24 * 3600);

/// How long an ended session is remembered. An upgrade that was in progress when its session ended has reached a shard, or
/// failed, long before.
const ENDED_TTL: Duration = Duration::from_secs(600);

/// The most ended sessions remembered: far more than the readers can look up in [`ENDED_TTL`].
const MAX_ENDED: usize = 100_000;

/// Sessions that are not in the store: not yet, or no longer.
#[derive(Debug, Default)]
pub struct Sessions {
    // owner: shared by HTTP and the shards; held for a few map operations, never across an await.
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    provisional: Aging<User>,
    /// Sessions that are being ended, with the number of requests that do so: several windows may log out at the same moment,
    /// and one may fail while the other succeeds. Bounded by the requests in progress.
    ending: HashMap<TokenHash, u32>,
    ended: Aging<()>,
}

impl Sessions {
    /// Keeps a new guest until it is stored, forgotten or ended.
    pub fn begin(&self, token: TokenHash, user: User) {
        self.lock().provisional.insert(token, user, Instant::now(), PROVISIONAL_TTL, MAX_PROVISIONAL);
    }

    /// The guest of a session that is not stored.
    pub fn provisional(&self, token: &TokenHash) -> Option<User> {
        let mut inner = self.lock();
        inner.provisional.drop_expired(Instant::now(), PROVISIONAL_TTL);
        if inner.has_ended(token) {
            return None;
        }
        inner.provisional.map.get(token).map(|(_, user)| user.clone())
    }

    /// Removes a guest whom the store has now; later look-ups find it there.
    pub fn stored(&self, token: &TokenHash) {
        self.lock().provisional.map.remove(token);
    }

    /// Marks the session as ended, for `has_ended`. Called before its connections are closed and before the store
    /// deletes it; `ended` or [`Sessions::end_failed`] follows.
    pub fn end(&self, token: TokenHash) {
        *self.lock().ending.entry(token).or_default() += 1;
    }

    /// The store has deleted the session.
    pub(crate) fn ended(&self, token: &TokenHash) {
        let mut inner = self.lock();
        inner.provisional.map.remove(token);
        inner.ended.insert(*token, (), Instant::now(), ENDED_TTL, MAX_ENDED);
        inner.finish_ending(token);
    }

    /// The store could not delete the session, so it would be valid after a restart. It has not ended, and the client may try
    /// again, unless another request is ending the session or has ended it.
    pub fn end_failed(&self, token: &TokenHash) {
        self.lock().finish_ending(token);
    }

    /// Whether the session has just ended. A shard checks this when a connection arrives: the session may have ended after
    /// HTTP validated its token. `end` comes before the shards close their connections, so that a connection is either
    /// closed by its shard or arrives later and is rejected.
    pub(crate) fn has_ended(&self, token: &TokenHash) -> bool {
        self.lock().has_ended(token)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change is one map operation and its entry in the queue; a panic between them leaves a surplus entry, which is
        // skipped.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn has_ended(&self, token: &TokenHash) -> bool {
        self.ending.contains_key(token) || self.ended.map.contains_key(token)
    }

    fn finish_ending(&mut self, token: &TokenHash) {
        if let Some(count) = self.ending.get_mut(token) {
            *count -= 1;
            if *count == 0 {
                self.ending.remove(token);
            }
        }
    }
}

/// A map that drops entries by age, and the oldest beyond its bound.
#[derive(Debug)]
struct Aging<V> {
    map: HashMap<TokenHash, (Instant, V)>,
    /// By age. An entry whose token is not in the map, or has another time there, is skipped. At most twice the bound, since
    /// the queue is compacted when it is that long.
    order: VecDeque<(Instant, TokenHash)>,
}

impl<V> Default for Aging<V> {
    fn default() -> Self {
        Aging { map: HashMap::new(), order: VecDeque::new() }
    }
}

impl<V> Aging<V> {
    fn insert(&mut self, token: TokenHash, value: V, now: Instant, max_age: Duration, bound: usize) {
        self.drop_expired(now, max_age);
        while self.map.len() >= bound && self.drop_oldest() {}
        if self.order.len() >= bound.saturating_mul(2) {
            let map = &self.map;
            self.order.retain(|(at, token)| map.get(token).is_some_and(|(inserted, _)| inserted == at));
        }
        self.map.insert(token, (now, value));
        self.order.push_back((now, token));
    }

    fn drop_expired(&mut self, now: Instant, max_age: Duration) {
        while self.order.front().is_some_and(|(at, _)| now.duration_since(*at) > max_age) {
            self.drop_oldest();
        }
    }

    /// Returns whether there was an entry.
    fn drop_oldest(&mut self) -> bool {
        let Some((at, token)) = self.order.pop_front() else { return false };
        if self.map.get(&token).is_some_and(|(inserted, _)| *inserted == at) {
            self.map.remove(&token);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use protocol::{UserId, UserName};

    use super::*;

    fn hash(number: u32) -> TokenHash {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        TokenHash(bytes)
    }

    fn li() -> User {
        User { id: UserId(7), name: UserName::new("李雷").unwrap() }
    }

    #[test]
    fn guest_is_kept_in_memory_until_stored() {
        let sessions = Sessions::default();
        sessions.begin(hash(1), li());
        assert_eq!(sessions.provisional(&hash(1)), Some(li()));
        assert_eq!(sessions.provisional(&hash(2)), None);
        sessions.stored(&hash(1));
        assert_eq!(sessions.provisional(&hash(1)), None);
        assert!(!sessions.has_ended(&hash(1)));
    }

    #[test]
    fn ended_session_is_not_found_and_cannot_connect() {
        let sessions = Sessions::default();
        sessions.begin(hash(1), li());
        sessions.end(hash(1));
        assert_eq!(sessions.provisional(&hash(1)), None);
        assert!(sessions.has_ended(&hash(1)));
        assert!(!sessions.has_ended(&hash(2)));
        sessions.end_failed(&hash(1));
        assert!(!sessions.has_ended(&hash(1)));
        assert_eq!(sessions.provisional(&hash(1)), Some(li()));
    }

    #[test]
    fn failed_end_does_not_restore_a_session_ended_by_another() {
        let sessions = Sessions::default();
        sessions.begin(hash(1), li());
        sessions.end(hash(1));
        sessions.end(hash(1));
        sessions.end_failed(&hash(1));
        assert!(
            sessions.has_ended(&hash(1)),
            "the other request has closed the connections, and will delete it from the store"
        );
        assert_eq!(sessions.provisional(&hash(1)), None);
        sessions.ended(&hash(1));
        assert!(sessions.has_ended(&hash(1)));
        sessions.end(hash(1));
        sessions.end_failed(&hash(1));
        assert!(sessions.has_ended(&hash(1)), "it had ended before");
        assert_eq!(sessions.provisional(&hash(1)), None);
        assert!(sessions.lock().ending.is_empty());
    }

    #[test]
    fn oldest_session_beyond_the_bound_is_dropped() {
        let mut aging = Aging::default();
        let begin = Instant::now();
        for number in 0..1000 {
            aging.insert(
                hash(number),
                number,
                begin + Duration::from_millis(number.into()),
                PROVISIONAL_TTL,
                10,
            );
            assert!(aging.map.len() <= 10 && aging.order.len() <= 20);
        }
        assert!(!aging.map.contains_key(&hash(989)) && aging.map.contains_key(&hash(990)));
    }

    #[test]
    fn stored_sessions_are_removed_from_memory() {
        let mut aging = Aging::default();
        let now = Instant::now();
        for number in 0..1000 {
            aging.insert(hash(number), (), now, PROVISIONAL_TTL, 10);
            aging.map.remove(&hash(number));
            assert!(aging.order.len() <= 20);
        }
    }

    #[test]
    fn expired_session_is_dropped() {
        let mut aging = Aging::default();
        let begin = Instant::now();
        let s = Duration::from_secs;
        aging.insert(hash(1), (), begin, s(60), 10);
        aging.insert(hash(2), (), begin + s(30), s(60), 10);
        // Inserted again, it has the age of the second insertion.
        aging.insert(hash(1), (), begin + s(40), s(60), 10);
        aging.drop_expired(begin + s(61), s(60));
        assert!(aging.map.contains_key(&hash(1)) && aging.map.contains_key(&hash(2)));
        aging.drop_expired(begin + s(91), s(60));
        assert!(aging.map.contains_key(&hash(1)) && !aging.map.contains_key(&hash(2)));
    }
}
