//! A session that is replaced when it is lost.

use std::thread;
use std::time::{Duration, Instant};

use storage::StoreError;

use crate::failure::Failure;
use crate::session::Session;

/// How long calls wait for PostgreSQL to come back, counted from the moment at which it was lost. A restart takes less; an answer
/// within a second is promised. Later calls try once, so that a queue of them drains.
const OUTAGE_TIMEOUT: Duration = Duration::from_millis(800);
/// Between two attempts to connect.
const RETRY_DELAY: Duration = Duration::from_millis(20);

/// A connection that is opened when it is needed.
pub(crate) struct Link {
    session: Option<Session>,
    /// Since when PostgreSQL cannot be reached.
    outage: Option<Instant>,
}

impl Link {
    pub(crate) fn new(session: Option<Session>) -> Self {
        Link { session, outage: None }
    }

    /// Calls `work` with a session, which `open` makes if there is none. Calls it again with a new one if the session is lost:
    /// `work` must be without effect, or begin a transaction and not commit it.
    pub(crate) fn repeat<T>(
        &mut self,
        open: impl Fn() -> Result<Session, Failure>,
        mut work: impl FnMut(&mut Session) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        loop {
            let outcome = match &mut self.session {
                Some(session) => work(session),
                None => open().and_then(|session| work(self.session.insert(session))),
            };
            let failure = match outcome {
                Ok(value) => {
                    self.outage = None;
                    return Ok(value);
                }
                Err(failure) => failure,
            };
            if !failure.session_lost {
                return Err(failure.error);
            }
            self.session = None;
            if self.outage.get_or_insert_with(Instant::now).elapsed() >= OUTAGE_TIMEOUT {
                return Err(failure.error);
            }
            thread::sleep(RETRY_DELAY);
        }
    }

    /// Calls `work` with the session there is, once.
    pub(crate) fn once<T>(
        &mut self,
        work: impl FnOnce(&mut Session) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        let Some(session) = &mut self.session else {
            return Err(StoreError::Unavailable("the connection was lost".to_owned()));
        };
        work(session).map_err(|failure| {
            if failure.session_lost {
                self.session = None;
            }
            failure.error
        })
    }

    /// Forgets what the session has cached.
    pub(crate) fn clear_cache(&mut self) {
        if let Some(session) = &mut self.session {
            session.cache.clear();
        }
    }

    /// Drops the session, whose state is unknown.
    pub(crate) fn drop_session(&mut self) {
        self.session = None;
    }
}
