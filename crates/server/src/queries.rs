//! What shards ask the store's readers, carried out on a reader's thread; replies that are large are encoded there.

use domain::{MemberContext, Permission, RoomLimits};
use protocol::{
    CommandId, CommandResult, ErrorCode, EventPage, History, Limits, OkFrame, RoomId, Seq, ServerFrame,
    UserId,
};
use storage::{CommandError, PageBounds, Reader, RoomQuery, StoreError};

use crate::encoding::{Encoding, event_frame, json_frame};
#[cfg(feature = "fault-injection")]
use crate::fault_injection::{self, FaultInjection};
use crate::shard::{Found, PAGE_BYTES, PAGE_EVENTS, Page, Query};

/// Carries out `query`.
pub(crate) fn carry_out(query: Query, reader: &mut dyn Reader) -> Found {
    match query {
        Query::Page { room, after, until, encoding } => {
            let bounds = PageBounds { limit: PAGE_EVENTS, max_bytes: PAGE_BYTES };
            let events =
                reader.events_after(room, after, Some(until), bounds).map_err(|error| report(&error));
            let page = events.map(|events| page_of(&events, after, until, encoding));
            Found::Page { room, after, until, encoding, page }
        }
        Query::Fill { room, after } => {
            let bounds = PageBounds { limit: Limits::HISTORY_EVENTS, max_bytes: Limits::HISTORY_BYTES };
            let page = reader.events_after(room, after, None, bounds).map_err(|error| report(&error));
            Found::Fill { room, events: page.map(|page| page.events) }
        }
        Query::Heads { rooms } => {
            let heads = reader.heads(&rooms).map_err(|error| report(&error)).unwrap_or_default();
            let heads =
                rooms.into_iter().zip(heads).map(|(room, head)| (room, head.map(|head| head.seq))).collect();
            Found::Heads { heads }
        }
        Query::History { of, id, user, history } => {
            let page = history_of(reader, user, &history);
            // Without an id only a refusal is answered.
            let frame =
                page.map(|page| id.map(|id| history_frame(id, page))).map_err(|refusal| (id, refusal));
            Found::History { of, frame }
        }
        Query::Rooms { of, id, user, rooms } => {
            let limit = rooms.limit.unwrap_or(Limits::PAGE).clamp(1, Limits::PAGE);
            let query = RoomQuery { user, joined: rooms.joined, after: rooms.after, limit };
            let page = reader.rooms(query).map_err(|error| CommandError::from(report(&error)));
            Found::Rooms { of, id, page }
        }
    }
}

fn page_of(page: &EventPage, after: Seq, until: Seq, encoding: Encoding) -> Page {
    let mut frames = Vec::new();
    for event in &page.events {
        #[cfg(feature = "fault-injection")]
        if fault_injection::is(FaultInjection::DropOnResume) && fault_injection::is_unlucky(event) {
            continue;
        }
        frames.extend_from_slice(&event_frame(event, encoding));
    }
    // A room that is gone has no events any more: there is nothing to wait for.
    let last = page.events.last().map_or(until, |event| event.seq).max(after);
    Page { frames: frames.into(), last: if page.more { last } else { until } }
}

/// A stretch of a room's events, for a member: for the command `history`, and over HTTP.
pub(crate) fn history_of(
    reader: &mut dyn Reader,
    user: UserId,
    history: &History,
) -> Result<EventPage, CommandError> {
    let refuse = |error: StoreError| CommandError::from(report(&error));
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
    // Asked again, for they may have left between the two, and what is read then is not for them. Members may read everything,
    // so whoever still is one now may have what was read before.
    may_read(reader, room, user)?;
    Ok(page)
}

fn may_read(reader: &mut dyn Reader, room: RoomId, user: UserId) -> Result<(), CommandError> {
    let member = reader.is_member(room, user).map_err(|error| CommandError::from(report(&error)))?;
    domain::check(Permission::History, MemberContext { member, rooms_joined: 0 }, &RoomLimits::default())
        .map_err(CommandError::from)
}

/// A stretch as the command's reply.
fn history_frame(id: CommandId, page: EventPage) -> bytes::Bytes {
    json_frame(&ServerFrame::from(OkFrame { id: Some(id), outcome: CommandResult::Events(page) })).into()
}

/// The code for a failure of the store, whose cause goes to the log.
pub(crate) fn report(error: &StoreError) -> ErrorCode {
    tracing::error!(reason = %error, "the store could not be read");
    error.refusal().code
}

#[cfg(test)]
mod tests {
    use protocol::{
        EventPage, MessageBody, Person, ReadPosition, RoomName, RoomPage, RoomRef, Timestamp, UserName,
    };
    use storage::{
        Actor, Head, LOBBY, MemoryStore, OpenRoom, Operation, Registration, Request, RequestId, RoomInfo,
        Store, TokenHash,
    };

    use super::*;

    /// A reader during whose reading something happens: just before it looks at a room's events.
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
    fn who_leaves_while_history_is_read_is_not_given_what_was_said_after() {
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
