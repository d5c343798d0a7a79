//! The writer of every database: it loads facts, decides, applies the effects and commits.

use std::collections::HashSet;
use std::ops::Range;

use domain::{
    Actor, CommandError, Effect, Fact, LeaveAll, OperationResult, Outcome, Request, RequestId, RoomLimits,
    World, decide, facts,
};
use protocol::{Timestamp, User, UserId, UserName};

use crate::{Backend, Batch, Changes, StoreError, Writer};

/// A [`Writer`] over a [`Backend`].
///
/// Each request is decided on a [`World`] that contains the effects of the earlier requests. A rejected request has no
/// effects, so there is nothing to undo, and no savepoint is needed.
pub struct CommitLoop<B> {
    backend: B,
    limits: RoomLimits,
}

impl<B: Backend> CommitLoop<B> {
    /// A writer over `backend`; `limits` are those of the rules.
    pub fn new(backend: B, limits: RoomLimits) -> Self {
        CommitLoop { backend, limits }
    }

    /// The database, for tests that inspect it.
    pub fn backend(&self) -> &B {
        &self.backend
    }

    /// The database, for tests that make it fail.
    #[cfg(any(test, feature = "testing"))]
    pub fn backend_mut(&mut self) -> &mut B {
        &mut self.backend
    }

    /// Commits `requests` in one transaction. If that fails, tries what the error permits.
    fn commit_or_split(&mut self, now: Timestamp, requests: &[Request]) -> Batch {
        let error = match self.commit_once(now, requests) {
            Ok(batch) => return batch,
            Err(error) => error,
        };
        if requests.len() > 1 && matches!(error, StoreError::Defect(_) | StoreError::Corrupt(_)) {
            // One bad request must not fail the others. Halving finds it in a logarithmic number of transactions.
            let (first, second) = requests.split_at(requests.len() / 2);
            let mut batch = self.commit_or_split(now, first);
            batch.extend(self.commit_or_split(now, second));
            return batch;
        }
        let mut batch = Batch {
            internal: vec![error.to_string()],
            fatal: error.fatal(),
            ..Batch::failed(requests.iter().map(|request| request.request_id), &error.rejection())
        };
        if matches!(error, StoreError::Full(_)) {
            self.answer_unchanged(now, requests, &mut batch);
        }
        batch
    }

    fn commit_once(&mut self, now: Timestamp, requests: &[Request]) -> Result<Batch, StoreError> {
        let mut run = self.begin(now, requests)?;
        for (at, request) in requests.iter().enumerate() {
            let answer = match run.decide(at)? {
                Ok((effects, result)) => {
                    run.apply(effects);
                    Ok(result)
                }
                Err(error) => Err(error),
            };
            run.replies.push((request.request_id, answer));
        }
        let Run { changes, replies, .. } = run;
        self.backend.commit(now, &changes)?;
        let internal = self.backend.take_warnings();
        Ok(Batch {
            events: changes.events,
            replies,
            deleted_rooms: changes.deleted_rooms,
            internal,
            fatal: None,
        })
    }

    /// On a full disk, answers the requests that change nothing, such as opening a room as a member. The others keep the
    /// error, even those that the rules would reject: the decision may depend on effects of earlier requests that were not
    /// stored.
    fn answer_unchanged(&mut self, now: Timestamp, requests: &[Request], batch: &mut Batch) {
        let replies = self.decide_unchanged(now, requests);
        match replies {
            Ok(replies) => {
                for ((_, answer), unchanged) in batch.replies.iter_mut().zip(replies) {
                    if let Some(result) = unchanged {
                        *answer = Ok(result);
                    }
                }
            }
            Err(error) => {
                batch.internal.push(error.to_string());
                batch.fatal = error.fatal();
            }
        }
    }

    fn decide_unchanged(
        &mut self,
        now: Timestamp,
        requests: &[Request],
    ) -> Result<Vec<Option<OperationResult>>, StoreError> {
        let mut run = self.begin(now, requests)?;
        let mut replies = Vec::with_capacity(requests.len());
        for at in 0..requests.len() {
            replies.push(match run.decide(at)? {
                Ok((effects, result)) if effects.is_empty() => Some(result),
                _ => None,
            });
        }
        self.backend.rollback();
        Ok(replies)
    }

    fn begin<'r>(&'r mut self, now: Timestamp, requests: &'r [Request]) -> Result<Run<'r, B>, StoreError> {
        let mut world = World::default();
        let declared = distinct(requests.iter().flat_map(facts).collect());
        self.backend.begin(&declared, &mut world)?;
        Ok(Run {
            backend: &mut self.backend,
            limits: &self.limits,
            now,
            requests,
            world,
            changes: Changes::default(),
            replies: Vec::with_capacity(requests.len()),
        })
    }
}

/// The decisions of one transaction, and the world that they share.
struct Run<'r, B> {
    backend: &'r mut B,
    limits: &'r RoomLimits,
    now: Timestamp,
    requests: &'r [Request],
    world: World,
    changes: Changes,
    replies: Vec<(RequestId, Result<OperationResult, CommandError>)>,
}

impl<B: Backend> Run<'_, B> {
    /// Bounds the loads of one decision. The longest chain of dependent facts has 6: session, session count, name, rooms,
    /// heads, member counts.
    const MOST_LOADS: usize = 8;

    /// Decides the request at `at`, loading the facts that it lacks.
    fn decide(
        &mut self,
        at: usize,
    ) -> Result<Result<(Vec<Effect>, OperationResult), CommandError>, StoreError> {
        for _ in 0..=Self::MOST_LOADS {
            match decide(&self.world, self.now, self.limits, &self.requests[at]) {
                Outcome::Done(effects, result) => return Ok(Ok((effects, result))),
                Outcome::Rejected(code) => return Ok(Err(CommandError::from(code))),
                Outcome::Missing(missing) => self.load(missing, at + 1)?,
            }
        }
        self.backend.rollback();
        Err(StoreError::Defect("a decision misses facts that were loaded".to_owned()))
    }

    /// Loads `missing` and the facts that the requests from `next` on lack, so that many similar requests cost one round trip.
    fn load(&mut self, mut missing: Vec<Fact>, next: usize) -> Result<(), StoreError> {
        for request in &self.requests[next..] {
            if let Outcome::Missing(facts) = decide(&self.world, self.now, self.limits, request) {
                missing.extend(facts);
            }
        }
        self.backend.load(&distinct(missing), &mut self.world)
    }

    fn apply(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            self.world.apply(&effect);
            self.changes.add(effect);
        }
    }
}

/// Each fact once, in the order of the first mention.
fn distinct(mut facts: Vec<Fact>) -> Vec<Fact> {
    let mut seen = HashSet::with_capacity(facts.len());
    let first: Vec<bool> = facts.iter().map(|fact| seen.insert(fact)).collect();
    let mut first = first.into_iter();
    facts.retain(|_| first.next().unwrap_or(false));
    facts
}

impl<B: Backend> Writer for CommitLoop<B> {
    fn commit(&mut self, now: Timestamp, requests: Vec<Request>) -> Batch {
        if requests.is_empty() {
            return Batch::default();
        }
        self.commit_or_split(now, &requests)
    }

    fn probe(&mut self, now: Timestamp) -> Result<(), StoreError> {
        self.backend.probe(now)
    }

    fn checkpoint(&mut self) -> Result<(), StoreError> {
        self.backend.checkpoint()
    }

    fn failure(&self) -> Option<StoreError> {
        self.backend.failure()
    }

    fn reserve_user_ids(&mut self, count: u32) -> Result<Range<u64>, StoreError> {
        self.backend.reserve_user_ids(count)
    }

    fn cleanup_transient_users(&mut self, now: Timestamp) -> Result<Batch, StoreError> {
        let users = self.backend.transient_members()?;
        let requests: Vec<Request> = users.into_iter().map(leave_all).collect();
        let batch = self.commit_once(now, &requests)?;
        Ok(Batch { replies: Vec::new(), ..batch })
    }

    #[cfg(any(test, feature = "testing"))]
    fn commit_effects(&mut self, now: Timestamp, effects: Vec<Effect>) -> Result<(), StoreError> {
        let mut changes = Changes::default();
        effects.into_iter().for_each(|effect| changes.add(effect));
        self.backend.begin(&[], &mut World::default())?;
        self.backend.commit(now, &changes)
    }
}

/// A request to leave every room. The decision uses the stored name, so the name here is a placeholder.
fn leave_all(user: UserId) -> Request {
    // Valid: every rule of names permits a word of ASCII letters.
    let name = UserName::new("guest").expect("\"guest\" is a valid name");
    let actor = Actor { user: User { id: user, name }, registration: None };
    Request { request_id: RequestId(0), actor, operation: LeaveAll.into() }
}
