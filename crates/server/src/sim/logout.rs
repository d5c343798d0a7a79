//! Sessions that end, as HTTP and `AppState::end_session` end them, step by step: whose it is, the word that nobody comes in with it any
//! more, the sockets, and then the session with the memberships. Between any two of them anything may happen, also the same once more.

use std::time::Duration;

use protocol::UserId;
use storage::{CommandError, Operation, OperationResult, Request, RequestId, TokenHash};
use tokio::sync::oneshot;

use super::world::{Due, World};
use crate::commit_batch::ReplyTarget;
use crate::writer::system_actor;

/// A logout that is under way.
pub(super) struct Logout {
    token: TokenHash,
    user: UserId,
    /// When it goes on.
    at: Duration,
    step: Step,
}

enum Step {
    /// HTTP knows whose session it is.
    Identified,
    /// The word is out; the shard has not heard of it.
    Ending,
    /// The sockets are closed.
    Closed,
    /// The writer has been asked.
    Asked(oneshot::Receiver<Result<OperationResult, CommandError>>),
}

impl World {
    /// Somebody logs out, wherever they are connected; perhaps in two windows at once.
    pub(super) fn log_out(&mut self, of: usize) {
        let token = self.people[of].speaker.session();
        let Some((token, (person, _))) = token.and_then(|token| Some((token, self.look_up(&token)?))) else {
            return;
        };
        if self.stopping {
            return;
        }
        for _ in 0..1 + self.rng.below(3) {
            self.tell(|| format!("client {of} logs out {}", person.id));
            self.next_step(Logout { token, user: person.id, at: Duration::ZERO, step: Step::Identified });
        }
    }

    fn next_step(&mut self, logout: Logout) {
        let slowest = if self.rng.one_in(3) { 1500 } else { 5 };
        let wait = self.rng.millis(0, slowest);
        self.logouts.push(Logout { at: self.now + wait, ..logout });
        self.plan_in(wait, self.life, Due::LogsOut);
    }

    /// Whatever of it is due.
    pub(super) fn go_on_logging_out(&mut self) {
        for logout in std::mem::take(&mut self.logouts) {
            if logout.at > self.now {
                self.logouts.push(logout);
            } else {
                self.go_on_with(logout);
            }
        }
        self.after();
    }

    fn go_on_with(&mut self, logout: Logout) {
        let now = self.now;
        // Those of a process that has died were forgotten with it.
        let Some(process) = &mut self.process else { return };
        let Logout { token, user, .. } = logout;
        let at = user.0 as usize % process.desks.len();
        let step = match logout.step {
            Step::Identified => {
                process.sessions.end(token);
                Step::Ending
            }
            Step::Ending => {
                process.desks[at].shard.handle_session_end(now, user);
                process.gather(at);
                self.plan_turn(at, 0, 3);
                Step::Closed
            }
            // The writer has no time.
            Step::Closed if process.desks[at].shard.services.overloaded || self.rng.one_in(6) => {
                process.sessions.end_failed(&token);
                return;
            }
            Step::Closed => {
                let (reply, answer) = oneshot::channel();
                let request = Request {
                    request_id: RequestId(0),
                    actor: system_actor(),
                    operation: Operation::EndSession { token },
                };
                process.requests.push_back((request, ReplyTarget::Caller(reply)));
                return self.logouts.push(Logout { step: Step::Asked(answer), ..logout });
            }
            Step::Asked(mut answer) => match answer.try_recv() {
                Ok(Ok(_)) => return self.logged_out(token, user),
                // 503: it may be tried again.
                Ok(Err(_)) => return process.sessions.end_failed(&token),
                Err(oneshot::error::TryRecvError::Empty) => {
                    return self.logouts.push(Logout { step: Step::Asked(answer), ..logout });
                }
                // The process has died.
                Err(oneshot::error::TryRecvError::Closed) => return,
            },
        };
        self.next_step(Logout { step, ..logout });
    }

    /// 204: it is worth nothing any more, and nobody hears anything by it.
    fn logged_out(&mut self, token: TokenHash, user: UserId) {
        self.gone.push(user);
        self.ended.insert(token.0);
        self.tell(|| format!("{user} has logged out"));
        let Some(process) = &self.process else { return };
        process.sessions.ended(&token);
        self.check_ended();
    }

    /// Nobody is here by a session that has ended, and nobody can come.
    pub(super) fn check_ended(&mut self) {
        let Some(process) = &mut self.process else { return };
        for desk in &process.desks {
            for (user, user_state) in &desk.shard.users {
                let ended = user_state.session.is_some_and(|session| self.ended.contains(&session.0));
                let hears = |index: &usize| desk.shard.connections[*index].is_open();
                assert!(
                    !(ended && user_state.connections.iter().any(hears)),
                    "promise 6: the session of {user} has ended, and they are there"
                );
            }
        }
        for token in self.ended.clone() {
            let found = self.look_up(&TokenHash(token));
            assert!(found.is_none(), "promise 6: the session of {found:?} has ended, and is good");
        }
    }
}
