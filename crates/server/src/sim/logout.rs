//! Sessions that end, as `House::end_session` ends them: the sockets, and then the session with the memberships.

use proto::UserId;
use store::{Done, Refusal, Request, Ticket, TokenHash, Write};
use tokio::sync::oneshot;

use super::world::World;
use crate::writer::{ReplyTo, nobody};

/// A logout that waits for the writer.
pub(super) struct Logout {
    token: TokenHash,
    user: UserId,
    answer: oneshot::Receiver<Result<Done, Refusal>>,
}

impl World {
    /// Somebody logs out, wherever they are connected.
    pub(super) fn log_out(&mut self, of: usize) {
        let (now, token) = (self.now, self.people[of].speaker.session());
        let Some((token, (person, _))) = token.and_then(|token| Some((token, self.look_up(&token)?))) else {
            return;
        };
        let Some(process) = self.process.as_mut().filter(|_| !self.stopping) else { return };
        process.sessions.end(token);
        let at = person.id.0 as usize % process.desks.len();
        process.desks[at].shard.handle_session_end(now, person.id);
        process.gather(at);
        self.tell(|| format!("client {of} logs out {}", person.id));
        self.plan_turn(at, 0, 3);
        let Some(process) = &mut self.process else { return };
        let (reply, answer) = oneshot::channel();
        let request = Request { ticket: Ticket(0), author: nobody(), deed: Write::EndSession { token } };
        process.requests.push_back((request, ReplyTo::Caller(reply)));
        self.logouts.push(Logout { token, user: person.id, answer });
        self.after();
    }

    /// What the writer has answered.
    pub(super) fn go_on_logging_out(&mut self) {
        for mut logout in std::mem::take(&mut self.logouts) {
            let Logout { token, user, .. } = logout;
            match logout.answer.try_recv() {
                Ok(Ok(_)) => self.logged_out(token, user),
                // 503: it may be tried again.
                Ok(Err(_)) => {
                    if let Some(process) = &self.process {
                        process.sessions.end_failed(&token);
                    }
                }
                Err(oneshot::error::TryRecvError::Empty) => self.logouts.push(logout),
                // The process has died.
                Err(oneshot::error::TryRecvError::Closed) => {}
            }
        }
    }

    fn logged_out(&mut self, token: TokenHash, user: UserId) {
        self.gone.push(user);
        if let Some(process) = &self.process {
            process.sessions.ended(&token);
        }
    }
}
