//! `history`: returns a page of a room's events.

use domain::{CommandError, Permission};
use protocol::{EventPage, History, Limits, Reply, Seq, UserId};
use storage::{PageBounds, Reader};

use super::access::{check_in_store, permitted_room, store_failure};
use super::effect::{HandlerEffect, ReadOperation};
use super::view::View;

pub(super) fn handle(_: &View<'_>, history: History) -> Vec<HandlerEffect> {
    vec![HandlerEffect::Read(Box::new(history))]
}

impl ReadOperation for History {
    fn read(self: Box<Self>, user: UserId, reader: &mut dyn Reader) -> Vec<HandlerEffect> {
        vec![match page(reader, user, &self) {
            Ok(page) => HandlerEffect::Reply(Reply::History(page)),
            Err(error) => HandlerEffect::Error(error),
        }]
    }
}

fn page(reader: &mut dyn Reader, user: UserId, history: &History) -> Result<EventPage, CommandError> {
    let room = permitted_room(reader, Permission::Member, &history.room, user)?;
    let limit = history.limit.unwrap_or(Limits::HISTORY_EVENTS_DEFAULT).clamp(1, Limits::HISTORY_EVENTS);
    let bounds = PageBounds { limit, max_bytes: Limits::HISTORY_BYTES };
    let page = match (history.after, history.before) {
        (Some(after), _) => reader.events_after(room, after, None, bounds),
        (None, Some(before)) => reader.events_before(room, before, bounds),
        // The newest events: no event has a greater number.
        (None, None) => reader.events_before(room, Seq(u64::MAX), bounds),
    };
    let page = page.map_err(|error| store_failure(&error))?;
    // Checked again after the read: the user may have left in between, and must not receive what was read after that. Members may
    // read the whole history, so a user who is still a member may receive the page.
    check_in_store(reader, Permission::Member, room, user)?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use domain::{Actor, LOBBY, Operation, Registration, Request, RequestId, RoomLimits, TokenHash};
    use protocol::{
        ErrorCode, MessageBody, ReadPosition, RoomId, RoomName, RoomPage, RoomRef, Timestamp, User, UserName,
    };
    use storage::{Head, MemoryStore, OpenRoom, RoomQuery, Store, StoreError, StoredRoom};

    use super::*;

    /// A reader that runs a callback before it reads the events of a room.
    struct Interrupted<'h> {
        reader: Box<dyn Reader>,
        before_read: Box<dyn FnMut() + Send + 'h>,
    }

    impl Reader for Interrupted<'_> {
        fn user_of_session(&mut self, token: &TokenHash) -> Result<Option<User>, StoreError> {
            self.reader.user_of_session(token)
        }
        fn room(&mut self, room: &RoomRef) -> Result<Option<StoredRoom>, StoreError> {
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
            (self.before_read)();
            self.reader.events_after(room, after, up_to, bounds)
        }
        fn events_before(
            &mut self,
            room: RoomId,
            before: Seq,
            bounds: PageBounds,
        ) -> Result<EventPage, StoreError> {
            (self.before_read)();
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
        let user = User { id: UserId(user), name: UserName::new("Li").unwrap() };
        Request {
            request_id: RequestId(0),
            actor: Actor { user, registration: Some(Registration { token: None }) },
            operation,
        }
    }

    #[test]
    fn history_of_a_user_who_leaves_meanwhile_is_rejected() {
        for (after, before) in [(Some(Seq(0)), None), (None, Some(Seq(99))), (None, None)] {
            let store = MemoryStore::new(RoomLimits::default());
            let mut writer = store.writer().unwrap();
            let mut commit = |requests| drop(writer.commit(Timestamp(0), requests));
            let join = || domain::Join { room: lobby(), create_if_missing: false }.into();
            commit(vec![by(1, join()), by(2, join())]);
            let before_read = || {
                let body = MessageBody::new("secret".to_owned(), 100).unwrap();
                let message = domain::Send { room: lobby(), key: None, body }.into();
                commit(vec![by(2, protocol::Leave { room: lobby() }.into()), by(1, message)]);
            };
            let mut reader =
                Interrupted { reader: store.reader().unwrap(), before_read: Box::new(before_read) };
            let history = History { room: RoomRef::Id(LOBBY), after, before, limit: None };
            let rejected = page(&mut reader, UserId(2), &history).unwrap_err();
            assert_eq!(rejected.code, ErrorCode::NotAMember);
        }
    }
}
