//! What each operation does when it comes over HTTP. The rules are the store's, as over WebSocket; a request opens no room.

use axum::response::{IntoResponse, Response};
use domain::{MemberContext, RoomLimits};
use http::StatusCode;
use protocol::{
    Appended, Command, ErrorCode, History, Join, Joined, Limits, Named, Permission, RoomName, RoomRef, Rooms,
    SetTopic, TopicSet, Who,
};
use serde::Serialize;
use storage::{Actor, CommandError, Operation, OperationResult, Reader, Registration, RoomQuery};

use super::{ApiError, HttpState};
use crate::handoff::Identity;
use crate::queries::{history_of, report};
use crate::shard::{AdmissionRequest, Rejection};

/// Carries out a command, and answers it.
pub(super) async fn execute(
    state: &HttpState,
    identity: Identity,
    command: Command,
) -> Result<Response, ApiError> {
    let call = Call {
        state,
        request: AdmissionRequest {
            user: identity.person.id,
            session: identity.session,
            rate: command.row().rate,
            may_create_room: false,
        },
        identity,
    };
    match command {
        Command::Join(join) => call.join(join).await,
        Command::Leave(leave) => call.leave(Operation::Leave { room: leave.room }).await,
        Command::Send(send) => {
            let key = Some(send.client_message_id);
            call.send(Operation::Send { room: send.room, key, body: send.body }).await
        }
        Command::SetTopic(SetTopic { room, topic }) => {
            call.set_topic(Operation::SetTopic { room, topic }).await
        }
        Command::Who(who) => call.who(who).await,
        Command::Rename(rename) => call.rename(Operation::Rename { name: rename.name }).await,
        Command::Rooms(rooms) => call.rooms(rooms).await,
        Command::History(history) => call.history(history).await,
        Command::Read(read) => call.read(Operation::Read { room: read.room, seq: read.seq }).await,
        // They have no route.
        Command::Resume(_) | Command::Typing(_) | Command::Ping(_) => Err(ErrorCode::Internal.into()),
    }
}

/// One command on its way.
struct Call<'s> {
    state: &'s HttpState,
    identity: Identity,
    request: AdmissionRequest,
}

impl Call<'_> {
    async fn join(self, Join { room, .. }: Join) -> Result<Response, ApiError> {
        let user = self.request.user;
        let may_create_room = matches!(&room, RoomRef::Name(name) if name.key() != RoomName::LOBBY);
        let request = AdmissionRequest { may_create_room, ..self.request };
        // The shard takes the permission to create back if the user cannot pay for a room.
        let operation = Operation::Join { room, create_if_missing: may_create_room };
        let app = &self.state.app;
        let (admission, result) = app.admit_write(request, self.actor(), operation).await?;
        let created = matches!(result, Ok(OperationResult::Joined { created: true, .. }));
        if may_create_room && admission.new_room.is_ok() && !created {
            app.refund_room(user);
        }
        match (result, admission.new_room) {
            (Err(error), Err(wait)) if error.code == ErrorCode::RoomNotFound => {
                Err(ApiError::too_often("too many new rooms", wait))
            }
            (Err(error), _) => Err(error.into()),
            (Ok(OperationResult::Joined { room, name, topic, head, n, read, .. }), _) => {
                self.stored();
                let (count, online) = app.presence(|presence| {
                    (presence.count(room), presence.online(room, Limits::JOINED_ONLINE))
                });
                ok(&Joined { id: None, room, name, topic, head, n, read, count, online })
            }
            (Ok(other), _) => Err(unexpected(&other)),
        }
    }

    async fn leave(self, operation: Operation) -> Result<Response, ApiError> {
        match self.write(operation).await? {
            OperationResult::Left { seq, .. } => ok(&Appended { seq }),
            other => Err(unexpected(&other)),
        }
    }

    async fn send(self, operation: Operation) -> Result<Response, ApiError> {
        match self.write(operation).await? {
            OperationResult::Sent { seq, repeated: false, .. } => {
                reply(StatusCode::CREATED, &Appended { seq })
            }
            OperationResult::Sent { seq, repeated: true, .. } => ok(&Appended { seq }),
            other => Err(unexpected(&other)),
        }
    }

    async fn set_topic(self, operation: Operation) -> Result<Response, ApiError> {
        match self.write(operation).await? {
            OperationResult::TopicSet { topic } => ok(&TopicSet { topic }),
            other => Err(unexpected(&other)),
        }
    }

    async fn rename(self, operation: Operation) -> Result<Response, ApiError> {
        match self.write(operation).await? {
            OperationResult::Renamed { name } => {
                self.stored();
                self.state.app.renamed(self.request.user, name.clone());
                ok(&Named { name })
            }
            other => Err(unexpected(&other)),
        }
    }

    async fn read(self, operation: Operation) -> Result<Response, ApiError> {
        match self.write(operation).await? {
            OperationResult::Read(_, position) => ok(&position),
            other => Err(unexpected(&other)),
        }
    }

    async fn history(self, history: History) -> Result<Response, ApiError> {
        let user = self.request.user;
        ok(&self.query(move |reader| history_of(reader, user, &history)).await?)
    }

    async fn rooms(self, Rooms { joined, after, limit }: Rooms) -> Result<Response, ApiError> {
        let limit = limit.unwrap_or(Limits::PAGE).clamp(1, Limits::PAGE);
        let query = RoomQuery { user: self.request.user, joined, after, limit };
        let mut page = self
            .query(move |reader| reader.rooms(query).map_err(|error| CommandError::from(report(&error))))
            .await?;
        self.state.app.presence(|presence| {
            for summary in &mut page.rooms {
                summary.count = presence.count(summary.room);
            }
        });
        ok(&page)
    }

    async fn who(self, Who { room, after, limit }: Who) -> Result<Response, ApiError> {
        let user = self.request.user;
        let room = self
            .query(move |reader| {
                let found = reader.room(&room).map_err(|error| CommandError::from(report(&error)))?;
                let room = found.ok_or(ErrorCode::RoomNotFound)?.room;
                let member =
                    reader.is_member(room, user).map_err(|error| CommandError::from(report(&error)))?;
                let context = MemberContext { member, rooms_joined: 0 };
                domain::check(Permission::Member, context, &RoomLimits::default())?;
                Ok(room)
            })
            .await?;
        let limit = limit.unwrap_or(Limits::PAGE).clamp(1, Limits::PAGE);
        ok(&self.state.app.presence(|presence| presence.page(room, after, limit)))
    }

    async fn write(&self, operation: Operation) -> Result<OperationResult, ApiError> {
        let (_, result) = self.state.app.admit_write(self.request, self.actor(), operation).await?;
        Ok(result?)
    }

    async fn query<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut dyn Reader) -> Result<T, CommandError> + Send + 'static,
    ) -> Result<T, ApiError> {
        self.state.app.admit(self.request).await?;
        Ok(self.state.app.read(read).await??)
    }

    /// The user as the store's writer needs them. A guest is stored with the first `join` or `rename`.
    fn actor(&self) -> Actor {
        let Identity { person, session, stored } = &self.identity;
        let registration = (!stored).then_some(Registration { token: *session });
        Actor { person: person.clone(), registration }
    }

    /// The store has the session now.
    fn stored(&self) {
        if let (false, Some(session)) = (self.identity.stored, &self.identity.session) {
            self.state.app.sessions.stored(session);
        }
    }
}

impl From<Rejection> for ApiError {
    fn from(Rejection { code, retry_after }: Rejection) -> Self {
        match retry_after {
            Some(wait) => ApiError::too_often("too many of these; wait a little", wait),
            None => code.into(),
        }
    }
}

fn ok(value: &impl Serialize) -> Result<Response, ApiError> {
    reply(StatusCode::OK, value)
}

fn reply(status: StatusCode, value: &impl Serialize) -> Result<Response, ApiError> {
    Ok((status, axum::Json(value)).into_response())
}

/// The store answers each request with its own kind of result.
fn unexpected(result: &OperationResult) -> ApiError {
    debug_assert!(false, "an unexpected result: {result:?}");
    ErrorCode::Internal.into()
}
