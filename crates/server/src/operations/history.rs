//! `history`: a page of a room's events. The reply is encoded where it is read, and is as large as it gets.

use bytes::Bytes;
use domain::{MemberContext, Permission, RoomLimits};
use protocol::{
    CommandId, ErrorCode, EventPage, History, Limits, OkFrame, Reply, RoomId, Seq, ServerFrame, UserId,
};
use storage::{CommandError, PageBounds, Reader, StoreError};

use super::effect::{Effect, ReadCaller, ReadOperation};
use super::view::View;
use crate::encoding::json_frame;

pub(super) fn handle(_: &View<'_>, history: History) -> Vec<Effect> {
    vec![Effect::Read(Box::new(history))]
}

impl ReadOperation for History {
    fn read(self: Box<Self>, ReadCaller { user, id }: ReadCaller, reader: &mut dyn Reader) -> Vec<Effect> {
        match history_of(reader, user, &self) {
            // Without an id only an error is answered.
            Ok(page) => id.map(|id| Effect::Frame(history_frame(id, page))).into_iter().collect(),
            Err(error) => {
                debug_assert_ne!(error.code, ErrorCode::Malformed);
                vec![Effect::Error(error)]
            }
        }
    }
}

/// A page of a room's events, for a member: for the command `history`, and over HTTP.
pub(crate) fn history_of(
    reader: &mut dyn Reader,
    user: UserId,
    history: &History,
) -> Result<EventPage, CommandError> {
    let refuse = |error: StoreError| command_error(&error);
    let found = reader.room(&history.room).map_err(refuse)?;
    let room = found.ok_or_else(|| CommandError::from(ErrorCode::RoomNotFound))?.room;
    may_read(reader, room, user)?;
    let limit = history.limit.unwrap_or(Limits::HISTORY_EVENTS_DEFAULT).clamp(1, Limits::HISTORY_EVENTS);
    let bounds = PageBounds { limit, max_bytes: Limits::HISTORY_BYTES };
    let page = match (history.after, history.before) {
        (Some(after), _) => reader.events_after(room, after, None, bounds),
        (None, Some(before)) => reader.events_before(room, before, bounds),
        // Beyond the head there is nothing, however far.
        (None, None) => reader.events_before(room, Seq(u64::MAX), bounds),
    };
    let page = page.map_err(refuse)?;
    // Checked again: the user may have left between the two, and what was read then is not for them. Members may read
    // everything, so a user who is still a member may have what was read before.
    may_read(reader, room, user)?;
    Ok(page)
}

fn may_read(reader: &mut dyn Reader, room: RoomId, user: UserId) -> Result<(), CommandError> {
    let member = reader.is_member(room, user).map_err(|error| command_error(&error))?;
    domain::check(Permission::Member, MemberContext { member, rooms_joined: 0 }, &RoomLimits::default())
        .map_err(CommandError::from)
}

/// A page as the reply of the command.
fn history_frame(id: CommandId, page: EventPage) -> Bytes {
    json_frame(&ServerFrame::from(OkFrame::new(Some(id), Reply::History(page)))).into()
}

/// The code for a failure of the store, whose cause goes to the log.
pub(crate) fn report(error: &StoreError) -> ErrorCode {
    tracing::error!(reason = %error, "the store could not be read");
    error.refusal().code
}

pub(super) fn command_error(error: &StoreError) -> CommandError {
    CommandError::from(report(error))
}

#[cfg(test)]
mod tests {
    use protocol::{MessageBody, Person, ReadPosition, RoomName, RoomPage, RoomRef, Timestamp, UserName};
    use storage::{
        Actor, Head, LOBBY, MemoryStore, OpenRoom, Operation, Registration, Request, RequestId, RoomInfo,
        RoomQuery, Store, TokenHash,
    };

    use super::*;

    /// A reader that runs a callback before it reads the events of a room.
    struct Interrupted<'h> {
        reader: Box<dyn Reader>,
        happens: Box<dyn FnMut() + Send + 'h>,
    }

    impl Reader for Interrupted<'_> {
        fn person_of_session(&mut self, token: &TokenHash) -> Result<Option<Person>, StoreError> {
            self.reader.person_of_session(token)
        }
        fn room(&mut self, room: &RoomRef) -> Result<Option<RoomInfo>, StoreError> {
            self.reader.room(room)
        }
        fn is_member(&mut self, room: RoomId, user: UserId) -> Result<bool, StoreError> {
            self.reader.is_member(room, user)
        }
        fn read_position(&mut self, room: RoomId, user: UserId) -> Result<Option<ReadPosition>, StoreError> {
            self.reader.read_position(room, user)
        }
        fn open_rooms(
            &mut self,
            user: UserId,
            rooms: &[RoomId],
        ) -> Result<Vec<Option<OpenRoom>>, StoreError> {
            self.reader.open_rooms(user, rooms)
        }
        fn events_after(
            &mut self,
            room: RoomId,
            after: Seq,
            up_to: Option<Seq>,
            bounds: PageBounds,
        ) -> Result<EventPage, StoreError> {
            (self.happens)();
            self.reader.events_after(room, after, up_to, bounds)
        }
        fn events_before(
            &mut self,
            room: RoomId,
            before: Seq,
            bounds: PageBounds,
        ) -> Result<EventPage, StoreError> {
            (self.happens)();
            self.reader.events_before(room, before, bounds)
        }
        fn rooms(&mut self, query: RoomQuery) -> Result<RoomPage, StoreError> {
            self.reader.rooms(query)
        }
        fn heads(&mut self, rooms: &[RoomId]) -> Result<Vec<Option<Head>>, StoreError> {
            self.reader.heads(rooms)
        }
        fn changed(&mut self) -> Result<bool, StoreError> {
            self.reader.changed()
        }
    }

    fn lobby() -> RoomRef {
        RoomRef::Name(RoomName::new(RoomName::LOBBY).unwrap())
    }

    fn by(user: u64, operation: Operation) -> Request {
        let person = Person { id: UserId(user), name: UserName::new("Li").unwrap() };
        Request {
            request_id: RequestId(0),
            actor: Actor { person, registration: Some(Registration { token: None }) },
            operation,
        }
    }

    #[test]
    fn history_of_a_user_who_leaves_meanwhile_is_refused() {
        for (after, before) in [(Some(Seq(0)), None), (None, Some(Seq(99))), (None, None)] {
            let store = MemoryStore::new(RoomLimits::default());
            let mut writer = store.writer().unwrap();
            let mut commit = |requests| drop(writer.commit(Timestamp(0), requests));
            let join = || Operation::Join { room: lobby(), create_if_missing: false };
            commit(vec![by(1, join()), by(2, join())]);
            let happens = || {
                let body = MessageBody::new("secret".to_owned(), 100).unwrap();
                let said = Operation::Send { room: lobby(), key: None, body };
                commit(vec![by(2, Operation::Leave { room: lobby() }), by(1, said)]);
            };
            let mut reader = Interrupted { reader: store.reader().unwrap(), happens: Box::new(happens) };
            let history = History { room: RoomRef::Id(LOBBY), after, before, limit: None };
            let refused = history_of(&mut reader, UserId(2), &history).unwrap_err();
            assert_eq!(refused.code, ErrorCode::NotAMember);
        }
    }
}
