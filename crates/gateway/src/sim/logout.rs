//! Logouts in the steps of HTTP and `Gateway::end_session`: find the session, block it, close its connections, then delete it and
//! its memberships. Between any two steps anything may happen, including the same logout again.

use std::time::Duration;

use domain::{CommandError, OperationResult, Request, RequestId, TokenHash};
use protocol::UserId;
use tokio::sync::oneshot;

use super::schedule::Action;
use super::world::World;
use crate::commit_batch::ReplyTarget;
use crate::writer::system_actor;

pub(super) struct Logout {
    token: TokenHash,
    user: UserId,
    at: Duration,
    step: Step,
}

enum Step {
    /// HTTP has found the user of the session.
    Identified,
    /// New connections of the session are rejected; existing ones are open.
    Blocked,
    /// The connections are closed.
    Disconnected,
    /// The deletion was submitted to the writer.
    Submitted(oneshot::Receiver<Result<OperationResult, CommandError>>),
}

impl World {
    /// Starts a logout of an actor, or several concurrent ones.
    pub(super) fn start_logout(&mut self, actor: usize) {
        let token = self.actors[actor].client.session();
        let Some((token, (user, _))) = token.and_then(|token| Some((token, self.find_session(&token)?)))
        else {
            return;
        };
        if self.stopping {
            return;
        }
        for _ in 0..1 + self.rng.below(3) {
            self.log(|| format!("client {actor} logs out {}", user.id));
            self.schedule_step(Logout { token, user: user.id, at: Duration::ZERO, step: Step::Identified });
        }
    }

    fn schedule_step(&mut self, logout: Logout) {
        let slowest = if self.rng.one_in(3) { 1500 } else { 5 };
        let wait = self.rng.millis(0, slowest);
        self.logouts.push(Logout { at: self.now + wait, ..logout });
        self.schedule_in(wait, self.incarnation, Action::ContinueLogouts);
    }

    pub(super) fn continue_logouts(&mut self) {
        for logout in std::mem::take(&mut self.logouts) {
            if logout.at > self.now {
                self.logouts.push(logout);
            } else {
                self.continue_logout(logout);
            }
        }
        self.schedule_pending_work();
    }

    fn continue_logout(&mut self, logout: Logout) {
        let now = self.now;
        // A crash has dropped the logouts of the process.
        let Some(process) = &mut self.process else { return };
        let Logout { token, user, .. } = logout;
        let at = user.0 as usize % process.shards.len();
        let step = match logout.step {
            Step::Identified => {
                process.sessions.end(token);
                Step::Blocked
            }
            Step::Blocked => {
                process.shards[at].shard.handle_session_end(now, user);
                process.collect_output(at);
                self.schedule_shard(at, 0, 3);
                Step::Disconnected
            }
            // The writer is overloaded.
            Step::Disconnected if process.shards[at].shard.services.overloaded || self.rng.one_in(6) => {
                process.sessions.end_failed(&token);
                return;
            }
            Step::Disconnected => {
                let (reply, result) = oneshot::channel();
                let request = Request {
                    request_id: RequestId(0),
                    actor: system_actor(),
                    operation: domain::EndSession { token }.into(),
                };
                process.requests.push_back((request, ReplyTarget::Caller(reply)));
                return self.logouts.push(Logout { step: Step::Submitted(result), ..logout });
            }
            Step::Submitted(mut result) => match result.try_recv() {
                Ok(Ok(_)) => return self.finish_logout(token, user),
                // 503: the client may retry.
                Ok(Err(_)) => return process.sessions.end_failed(&token),
                Err(oneshot::error::TryRecvError::Empty) => {
                    return self.logouts.push(Logout { step: Step::Submitted(result), ..logout });
                }
                // The process has crashed.
                Err(oneshot::error::TryRecvError::Closed) => return,
            },
        };
        self.schedule_step(Logout { step, ..logout });
    }

    /// Completes a logout (204): the session is invalid, and its connections receive nothing more.
    fn finish_logout(&mut self, token: TokenHash, user: UserId) {
        self.departed_users.push(user);
        self.ended_sessions.insert(token.0);
        self.log(|| format!("{user} has logged out"));
        let Some(process) = &self.process else { return };
        process.sessions.ended(&token);
        self.check_ended_sessions();
    }

    /// Checks that no connection of an ended session is open and that the session is invalid.
    pub(super) fn check_ended_sessions(&mut self) {
        let Some(process) = &mut self.process else { return };
        for sim_shard in &process.shards {
            for (user, user_state) in sim_shard.shard.connections.users() {
                let ended =
                    user_state.session.is_some_and(|session| self.ended_sessions.contains(&session.0));
                let is_open = |index: &usize| sim_shard.shard.connections[*index].is_open();
                assert!(
                    !(ended && user_state.connections.iter().any(is_open)),
                    "promise 6: the session of {user} has ended, and a connection is open"
                );
            }
        }
        for token in self.ended_sessions.clone() {
            let found = self.find_session(&TokenHash(token));
            assert!(found.is_none(), "promise 6: the session of {found:?} has ended, and is valid");
        }
    }
}
