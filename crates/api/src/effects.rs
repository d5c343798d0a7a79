//! Applies the effects of an operation over HTTP, as `crates/gateway/src/shard/effects.rs` does for a connection. A request opens
//! no room, and its one reply is the body of the response.

use std::collections::VecDeque;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use domain::TokenHash;
use gateway::{Attach, Gateway, HandlerEffect, HttpRequest, Identity, PresenceReply, Rejection};
use http::StatusCode;
use protocol::{Command, ErrorCode, Joined, Limits, Reply, UserId};

use crate::{ApiError, HttpState};

/// Executes a command, and returns its response. With `creates`, its status is 201 unless the command was executed before.
pub(crate) async fn execute(
    state: &HttpState,
    identity: Identity,
    command: Command,
    creates: bool,
) -> Result<Response, ApiError> {
    let user = identity.user.id;
    let registers = identity.session.filter(|_| !identity.stored);
    let effects = state.gateway.handle(HttpRequest { identity, request: command.into() }).await?;
    Execution { gateway: &state.gateway, user, registers, creates, response: None }.apply(effects).await
}

struct Execution<'s> {
    gateway: &'s Gateway,
    user: UserId,
    /// The session that a successful write stores together with its user; `None` if both are stored.
    registers: Option<TokenHash>,
    creates: bool,
    response: Option<Result<Response, ApiError>>,
}

impl Execution<'_> {
    /// Applies all effects, including those after an error, such as the refund of a token.
    async fn apply(mut self, effects: Vec<HandlerEffect>) -> Result<Response, ApiError> {
        let mut effects = VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            match effect {
                HandlerEffect::Read(operation) => {
                    let user = self.user;
                    let read = self.gateway.read(move |reader| operation.read(user, reader)).await;
                    effects.extend(read.unwrap_or_else(|code| vec![HandlerEffect::Error(code.into())]));
                }
                effect => self.apply_one(effect),
            }
        }
        self.response.unwrap_or_else(|| {
            tracing::error!("an operation over HTTP has no reply");
            Err(ErrorCode::Internal.into())
        })
    }

    fn apply_one(&mut self, effect: HandlerEffect) {
        match effect {
            HandlerEffect::Reply(reply) if self.creates => self.respond(StatusCode::CREATED, &reply),
            HandlerEffect::Reply(reply)
            | HandlerEffect::ReplyAlways(reply)
            | HandlerEffect::Repeated(reply)
            | HandlerEffect::ReplyAfter { reply, .. } => self.respond(StatusCode::OK, &reply),
            HandlerEffect::ReplyFromPresence(PresenceReply(reply)) => {
                let reply = self.gateway.presence(reply);
                self.respond(StatusCode::OK, &reply);
            }
            HandlerEffect::Attach(attach) => {
                let joined = self.joined(attach);
                self.respond(StatusCode::OK, &Reply::Join(joined));
            }
            HandlerEffect::Error(error) => self.response = Some(Err(error.into())),
            HandlerEffect::RateLimited(wait) => self.response = Some(Err(ApiError::from(limited(wait)))),
            HandlerEffect::Refund(class) => self.gateway.refund(self.user, class),
            HandlerEffect::SetName(name) => self.gateway.renamed(self.user, name),
            HandlerEffect::UserStored => {
                if let Some(session) = &self.registers {
                    self.gateway.sessions().stored(session);
                }
            }
            // Both concern only connections; a session with an unknown outcome stays provisional.
            HandlerEffect::UserPerhapsStored | HandlerEffect::JoinRejected => {}
            HandlerEffect::Write { .. }
            | HandlerEffect::Read(_)
            | HandlerEffect::Frame(_)
            | HandlerEffect::RoomError { .. }
            | HandlerEffect::Ephemeral { .. }
            | HandlerEffect::RetryDeparture(_) => {
                tracing::error!(?effect, "an effect that no operation has over HTTP");
                self.response = Some(Err(ErrorCode::Internal.into()));
            }
        }
    }

    fn respond(&mut self, status: StatusCode, reply: &Reply) {
        self.response = Some(Ok((status, axum::Json(reply)).into_response()));
    }

    fn joined(&self, attach: Attach) -> Joined {
        let Attach { info, head, n, read, .. } = attach;
        let room = info.room;
        let (count, online) = self
            .gateway
            .presence(|presence| (presence.count(room), presence.online(room, Limits::JOINED_ONLINE)));
        Joined { id: None, info, head, n, read, count, online }
    }
}

fn limited(wait: Duration) -> Rejection {
    Rejection { code: ErrorCode::RateLimited, retry_after: Some(wait) }
}

impl From<Rejection> for ApiError {
    fn from(Rejection { code, retry_after }: Rejection) -> Self {
        match retry_after {
            Some(wait) => ApiError::rate_limited(code.message(), wait),
            None => code.into(),
        }
    }
}
