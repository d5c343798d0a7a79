//! Sessions: opaque tokens, of which only hashes are kept, and guests who have not done anything durable yet.
//!
//! A guest is stored at its first durable act, so that whoever only looks in costs no row. Until then its session is
//! here, and a restart forgets it. Why tokens are what they are: `docs/adr/0003-sessions.md`.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::Person;
use sha2::{Digest, Sha256};
use storage::TokenHash;

/// Guests kept in memory at most: beyond, the oldest goes. About 20 MB.
const PROVISIONAL: usize = 100_000;

/// A guest who did nothing durable for so long is forgotten.
const WAIT_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// An upgrade that was under way when its session ended has come to a shard, or failed, long before.
const REMEMBER_ENDED: Duration = Duration::from_secs(600);

/// Ended sessions remembered at most. Far more logouts than readers could check in [`REMEMBER_ENDED`].
const ENDED: usize = 100_000;

/// 256 random bits as 43 characters of base64url. Shown once, to its owner.
pub(crate) struct Token(String);

impl Token {
    /// A new one, from the system's randomness.
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Token(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// A token that a client sent, if it has the form of one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        // Decoded to check its form; one spelling each, so that the text can be hashed as it is.
        (URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) == Ok(32)).then(|| Token(text.to_owned()))
    }

    /// What is kept of it. Plain SHA-256: there is nothing to guess in 256 random bits that a slow hash would protect.
    pub(crate) fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.0.as_bytes()).into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Sessions that the store does not know: not yet, or no more.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    // owner: shared by HTTP and the shards; held for a few map operations, never across an await.
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    provisional: Aging<Person>,
    /// Sessions that are being ended, by how many at once: several windows may log out in the same moment, and what becomes of one
    /// says nothing of the other. No more than there are requests.
    ending: HashMap<TokenHash, u32>,
    ended: Aging<()>,
}

impl Sessions {
    /// Keeps a new guest until it is stored, forgotten or ended.
    pub(crate) fn begin(&self, token: TokenHash, person: Person) {
        self.lock().provisional.insert(token, person, Instant::now(), WAIT_TIMEOUT, PROVISIONAL);
    }

    /// The guest of a session that is not stored.
    pub(crate) fn provisional(&self, token: &TokenHash) -> Option<Person> {
        let mut inner = self.lock();
        inner.provisional.forget_old(Instant::now(), WAIT_TIMEOUT);
        if inner.has_ended(token) {
            return None;
        }
        inner.provisional.map.get(token).map(|(_, person)| person.clone())
    }

    /// The store knows this session from now on.
    pub(crate) fn stored(&self, token: &TokenHash) {
        self.lock().provisional.map.remove(token);
    }

    /// The session is about to end: from here on [`Sessions::has_ended`] says so. To be called before its connections
    /// are closed and before the store is told; and then one of the two that follow.
    pub(crate) fn end(&self, token: TokenHash) {
        *self.lock().ending.entry(token).or_default() += 1;
    }

    /// The store knows the session no more.
    pub(crate) fn ended(&self, token: &TokenHash) {
        let mut inner = self.lock();
        inner.provisional.map.remove(token);
        inner.ended.insert(*token, (), Instant::now(), REMEMBER_ENDED, ENDED);
        inner.one_ending_less(token);
    }

    /// The store could not be told, so that the session would be back after a restart: it has not ended, and whoever
    /// wanted it to may try again. Unless somebody else is about to end it, or has.
    pub(crate) fn end_failed(&self, token: &TokenHash) {
        self.lock().one_ending_less(token);
    }

    /// Whether the session has just ended. A shard asks when a connection arrives: its token may have been good when
    /// HTTP looked, and have ended on the way. `end` comes before the shards close what they have, so a connection
    /// either is closed by that, or arrives later and is refused here.
    pub(crate) fn has_ended(&self, token: &TokenHash) -> bool {
        self.lock().has_ended(token)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change is one map operation and its line in the queue; a panic between them leaves a line too many,
        // which is passed over.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn has_ended(&self, token: &TokenHash) -> bool {
        self.ending.contains_key(token) || self.ended.map.contains_key(token)
    }

    fn one_ending_less(&mut self, token: &TokenHash) {
        if let Some(count) = self.ending.get_mut(token) {
            *count -= 1;
            if *count == 0 {
                self.ending.remove(token);
            }
        }
    }
}

/// A map that forgets: by age, and the oldest beyond its bound.
#[derive(Debug)]
struct Aging<V> {
    map: HashMap<TokenHash, (Instant, V)>,
    /// By age. A token that is no more in the map, or there with another time, is passed over; there are at most twice
    /// as many as the bound, because the queue is swept when it is that long.
    order: VecDeque<(Instant, TokenHash)>,
}

impl<V> Default for Aging<V> {
    fn default() -> Self {
        Aging { map: HashMap::new(), order: VecDeque::new() }
    }
}

impl<V> Aging<V> {
    fn insert(&mut self, token: TokenHash, value: V, now: Instant, patience: Duration, bound: usize) {
        self.forget_old(now, patience);
        while self.map.len() >= bound && self.forget_oldest() {}
        if self.order.len() >= bound.saturating_mul(2) {
            let map = &self.map;
            self.order.retain(|(at, token)| map.get(token).is_some_and(|(begun, _)| begun == at));
        }
        self.map.insert(token, (now, value));
        self.order.push_back((now, token));
    }

    fn forget_old(&mut self, now: Instant, patience: Duration) {
        while self.order.front().is_some_and(|(at, _)| now.duration_since(*at) > patience) {
            self.forget_oldest();
        }
    }

    /// False if there is none.
    fn forget_oldest(&mut self) -> bool {
        let Some((at, token)) = self.order.pop_front() else { return false };
        if self.map.get(&token).is_some_and(|(begun, _)| *begun == at) {
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

    fn li() -> Person {
        Person { id: UserId(7), name: UserName::new("李雷").unwrap() }
    }

    #[test]
    fn token_is_random_and_has_one_spelling() {
        let (one, other) = (Token::new().unwrap(), Token::new().unwrap());
        assert_ne!(one.as_str(), other.as_str());
        assert_eq!(one.as_str().len(), 43);
        assert_eq!(Token::parse(one.as_str()).unwrap().hash(), one.hash());
        assert_ne!(one.hash(), other.hash());
        let last = one.as_str().chars().last().unwrap();
        // The last character carries four bits; the two spare ones must be clear.
        assert!("AEIMQUYcgkosw048".contains(last));
        let respelled = format!("{}B", &one.as_str()[..42]);
        for bad in [
            "",
            "abc",
            &one.as_str()[1..],
            &format!("{}=", one.as_str()),
            &respelled,
            &"+".repeat(43),
            &"A".repeat(100_000),
        ] {
            assert!(Token::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn token_hash_is_sha256_of_the_text() {
        // printf 'AAAA…' (43 times A) | sha256sum
        let token = Token::parse(&"A".repeat(43)).unwrap();
        let hex: String = token.hash().0.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "0f007385b6f9d4b7eeb2748605afe1a984a0a3bfa3f014d09e2a784ce9e5cd1a");
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
            "the other one has closed its connections, and comes to the store"
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
                WAIT_TIMEOUT,
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
            aging.insert(hash(number), (), now, WAIT_TIMEOUT, 10);
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
        // Begun anew, it is as young as its second beginning.
        aging.insert(hash(1), (), begin + s(40), s(60), 10);
        aging.forget_old(begin + s(61), s(60));
        assert!(aging.map.contains_key(&hash(1)) && aging.map.contains_key(&hash(2)));
        aging.forget_old(begin + s(91), s(60));
        assert!(aging.map.contains_key(&hash(1)) && !aging.map.contains_key(&hash(2)));
    }
}
