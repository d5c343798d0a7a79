//! Admission of HTTP requests by the shard that owns the user, for two reasons: both transports share one rate limit, and no
//! write of a session reaches the writer after the end of that session.

use std::collections::HashMap;
use std::time::Duration;

use domain::{RateClass, UserBuckets};
use protocol::{ErrorCode, UserId, UserName};

use super::{Shard, ShardServices, Transport};
use crate::handoff::Identity;
use crate::operations::{self, ClientRequest, HandlerEffect, NoOpenRooms, View};

/// A request over HTTP.
#[derive(Debug)]
pub struct HttpRequest {
    /// Authenticated by HTTP.
    pub identity: Identity,
    /// The request, whose rate has not been charged.
    pub request: ClientRequest,
}

/// The error of a request that was not executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Determines the status and the message of the response.
    pub code: ErrorCode,
    /// The time until a repeated request is admitted; `None` if it does not depend on time.
    pub retry_after: Option<Duration>,
}

impl From<ErrorCode> for Rejection {
    fn from(code: ErrorCode) -> Self {
        Rejection { code, retry_after: None }
    }
}

impl<T: Transport, S: ShardServices> Shard<T, S> {
    /// Charges a request over HTTP and calls its handler, or rejects it. The caller applies the effects.
    pub(crate) fn handle_http_request(
        &mut self,
        now: Duration,
        HttpRequest { identity, request }: HttpRequest,
    ) -> Result<Vec<HandlerEffect>, Rejection> {
        self.now = now;
        if self.lifecycle.is_stopping() {
            return Err(ErrorCode::ShuttingDown.into());
        }
        if identity.session.is_some_and(|session| self.services.session_has_ended(&session)) {
            return Err(ErrorCode::Unauthorized.into());
        }
        let user = identity.user.id;
        let rates = self.settings.rates;
        let buckets = self.buckets_of(user);
        buckets
            .take(request.row().rate, now, &rates)
            .map_err(|wait| Rejection { code: ErrorCode::RateLimited, retry_after: Some(wait) })?;
        let additional = operations::additional_rate_class(&request);
        let additional_token = additional.map(|class| buckets.take(class, now, &rates));
        let view = View { user, name: &identity.user.name, additional_token, rooms: &NoOpenRooms };
        Ok(operations::handle(&view, request))
    }

    pub(crate) fn handle_refund(&mut self, user: UserId, class: RateClass) {
        let rates = self.settings.rates;
        self.buckets_of(user).refund(class, &rates);
    }

    pub(crate) fn handle_renamed(&mut self, now: Duration, user: UserId, name: UserName) {
        self.now = now;
        self.set_name(user, name);
    }

    fn buckets_of(&mut self, user: UserId) -> &mut UserBuckets {
        let now = self.now;
        match self.connections.user_mut(user) {
            Some(user_state) => &mut user_state.buckets,
            None => self.offline_buckets.of(user, now),
        }
    }
}

/// The buckets of users without a connection, in two generations. Buckets that are not used for a whole generation are dropped;
/// a dropped bucket is full at its next use.
#[derive(Debug, Default)]
pub(super) struct OfflineBuckets {
    // Bounded: each generation by CAPACITY.
    recent: HashMap<UserId, UserBuckets>,
    previous: HashMap<UserId, UserBuckets>,
    since: Duration,
}

impl OfflineBuckets {
    /// 64 bytes each: 2 MiB in all.
    const CAPACITY: usize = 16 * 1024;
    /// Longer than any bucket takes to fill with the default rates: five rooms, one per 30 s.
    const GENERATION: Duration = Duration::from_secs(180);

    fn of(&mut self, user: UserId, now: Duration) -> &mut UserBuckets {
        let is_full = self.recent.len() >= Self::CAPACITY && !self.recent.contains_key(&user);
        if is_full || now.saturating_sub(self.since) > Self::GENERATION {
            self.previous = std::mem::take(&mut self.recent);
            self.since = now;
        }
        let previous = self.previous.remove(&user);
        self.recent.entry(user).or_insert_with(|| previous.unwrap_or_default())
    }

    /// Keeps the buckets of a user whose last connection has ended, so that a reconnect does not refill them.
    pub(super) fn put(&mut self, user: UserId, buckets: UserBuckets, now: Duration) {
        if !buckets.are_full(now) {
            *self.of(user, now) = buckets;
        }
    }

    /// Moves the buckets of a user to its connection.
    pub(super) fn take(&mut self, user: UserId) -> UserBuckets {
        let previous = self.previous.remove(&user);
        self.recent.remove(&user).or(previous).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use domain::Rates;

    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn offline_buckets_are_kept_for_a_generation() {
        let rates = Rates::default();
        let mut offline = OfflineBuckets::default();
        while offline.of(UserId(1), s(0)).take(RateClass::NewRoom, s(0), &rates).is_ok() {}
        offline.of(UserId(2), s(181));
        assert!(offline.take(UserId(1)).take(RateClass::NewRoom, s(0), &rates).is_err());
        assert!(
            offline.take(UserId(1)).take(RateClass::NewRoom, s(0), &rates).is_ok(),
            "the buckets were removed"
        );
    }

    #[test]
    fn offline_buckets_of_many_users_are_bounded() {
        let mut offline = OfflineBuckets::default();
        for user in 0..100_000 {
            offline.of(UserId(user), s(0));
            assert!(offline.recent.len() + offline.previous.len() <= 2 * OfflineBuckets::CAPACITY);
        }
    }
}
