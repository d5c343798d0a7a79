//! The rules of every durable change: one operation, one file, with the facts it needs and its tests.
//!
//! An operation that meets a fact that is not loaded stops with [`Outcome::Missing`], and is decided again when it is.

mod end_session;
mod join;
mod leave;
mod leave_all;
mod open;
mod read;
mod rename;
mod send;
mod set_topic;
#[cfg(test)]
pub(crate) mod testing;

use protocol::{ErrorCode, Event, EventKind, MessageCount, Person, RoomId, RoomRef, Seq, Timestamp, UserId};

use crate::world::Room;
use crate::{
    Actor, Effect, Fact, LOBBY, MemberContext, Operation, OperationResult, Outcome, Permission, Request,
    RoomLimits, World, check,
};

/// The facts to load before [`decide`] is called. It may still miss some that depend on these.
#[must_use]
pub fn facts(request: &Request) -> Vec<Fact> {
    let user = request.actor.person.id;
    match &request.operation {
        Operation::Join { room, .. } => join::facts(room, user),
        Operation::Open { room } => open::facts(*room, user),
        Operation::Leave { room } => leave::facts(room, user),
        Operation::Send { room, key, .. } => send::facts(room, user, key.as_ref()),
        Operation::SetTopic { room, .. } => set_topic::facts(room, user),
        Operation::Rename { .. } => rename::facts(user),
        Operation::Read { room, seq } => read::facts(room, user, *seq),
        Operation::LeaveAll => leave_all::facts(user),
        Operation::EndSession { token } => end_session::facts(token),
    }
}

/// Decides a request: what it changes, why it is refused, or which facts are missing.
#[must_use]
pub fn decide(world: &World, now: Timestamp, limits: &RoomLimits, request: &Request) -> Outcome {
    let context = Context { world, now, limits, actor: &request.actor };
    let decision = match &request.operation {
        Operation::Join { room, create_if_missing } => join::decide(&context, room, *create_if_missing),
        Operation::Open { room } => open::decide(&context, *room),
        Operation::Leave { room } => leave::decide(&context, room),
        Operation::Send { room, key, body } => send::decide(&context, room, key.as_ref(), body),
        Operation::SetTopic { room, topic } => set_topic::decide(&context, room, topic),
        Operation::Rename { name } => rename::decide(&context, name),
        Operation::Read { room, seq } => read::decide(&context, room, *seq),
        Operation::LeaveAll => leave_all::decide(&context),
        Operation::EndSession { token } => end_session::decide(&context, token),
    };
    match decision {
        Ok((effects, result)) => Outcome::Done(effects, result),
        Err(Stop::Refused(code)) => Outcome::Refused(code),
        Err(Stop::Missing(facts)) => Outcome::Missing(facts),
    }
}

type Decision = Result<(Vec<Effect>, OperationResult), Stop>;

/// Why an operation goes no further.
enum Stop {
    Refused(ErrorCode),
    Missing(Vec<Fact>),
}

impl From<ErrorCode> for Stop {
    fn from(code: ErrorCode) -> Self {
        Stop::Refused(code)
    }
}

impl From<Fact> for Stop {
    fn from(fact: Fact) -> Self {
        Stop::Missing(vec![fact])
    }
}

/// What every operation sees.
struct Context<'c> {
    world: &'c World,
    now: Timestamp,
    limits: &'c RoomLimits,
    actor: &'c Actor,
}

impl<'c> Context<'c> {
    fn user(&self) -> UserId {
        self.actor.person.id
    }

    fn room(&self, reference: &RoomRef) -> Result<&'c Room, Stop> {
        Ok(self.world.room(reference)?.ok_or(ErrorCode::RoomNotFound)?)
    }

    /// The room, and the actor under their stored name, if the actor may use `permission` there as a member.
    fn member_of(&self, permission: Permission, reference: &RoomRef) -> Result<(&'c Room, Person), Stop> {
        let room = self.room(reference)?;
        let member = self.world.is_member(room.id, self.user())?;
        check(permission, MemberContext { member, rooms_joined: 0 }, self.limits)?;
        Ok((room, self.stored(self.user())?))
    }

    /// The user under their stored name.
    fn stored(&self, user: UserId) -> Result<Person, Stop> {
        let name = self.world.user(user)?.ok_or(ErrorCode::Unauthorized)?;
        Ok(Person { id: user, name: name.clone() })
    }

    /// The actor under their stored name; `effects` store an actor who is new and may be stored.
    fn registered(&self, effects: &mut Vec<Effect>) -> Result<Person, Stop> {
        let user = self.user();
        if self.world.user(user)?.is_some() {
            return self.stored(user);
        }
        let registration = self.actor.registration.as_ref().ok_or(ErrorCode::Unauthorized)?;
        let person = self.actor.person.clone();
        let transient = registration.token.is_none();
        effects.push(Effect::InsertUser { user, name: person.name.clone(), transient });
        effects.extend(registration.token.map(|token| Effect::InsertSession { token, user }));
        Ok(person)
    }

    /// The rooms with these ids, which exist. Whatever is missing is reported at once.
    fn rooms(&self, ids: impl IntoIterator<Item = RoomId>) -> Result<Vec<&'c Room>, Stop> {
        self.all(ids, |id| self.world.room(&RoomRef::Id(id)))
            .map(|rooms| rooms.into_iter().flatten().collect())
    }

    /// Looks up each of `keys`, and reports all missing facts at once.
    fn all<K, T>(
        &self,
        keys: impl IntoIterator<Item = K>,
        look_up: impl Fn(K) -> Result<T, Fact>,
    ) -> Result<Vec<T>, Stop> {
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for key in keys {
            match look_up(key) {
                Ok(value) => found.push(value),
                Err(fact) => missing.push(fact),
            }
        }
        if missing.is_empty() { Ok(found) } else { Err(Stop::Missing(missing)) }
    }

    /// The next event of the room.
    fn event(&self, room: &Room, by: Person, kind: EventKind) -> Event {
        let messages = u64::from(matches!(kind, EventKind::Message { .. }));
        Event {
            kind,
            room: room.id,
            seq: room.head.next(),
            n: MessageCount(room.n.0 + messages),
            by,
            // Clocks go back; the times in a room do not.
            at: room.last_at.map_or(self.now, |last| last.max(self.now)),
        }
    }

    /// Whether the room is deleted when its last member leaves.
    fn is_disposable(room: &Room) -> bool {
        room.id != LOBBY && room.n == MessageCount(0)
    }

    /// Ends memberships that exist, each in another room, and deletes the rooms that end with them. The numbers of the
    /// `member_left` events.
    fn remove_member(
        &self,
        rooms: &[&Room],
        person: &Person,
        effects: &mut Vec<Effect>,
    ) -> Result<Vec<Seq>, Stop> {
        let disposable = rooms.iter().filter(|room| Self::is_disposable(room));
        let counts = self.all(disposable, |room| Ok((room.id, self.world.member_count(room.id)?)))?;
        let mut seqs = Vec::with_capacity(rooms.len());
        for room in rooms {
            let event = self.event(room, person.clone(), EventKind::MemberLeft {});
            seqs.push(event.seq);
            effects.push(Effect::AppendEvent(event));
            effects.push(Effect::DeleteMembership { room: room.id, user: person.id });
            if counts.iter().any(|(id, count)| *id == room.id && *count <= 1) {
                effects.push(Effect::DeleteRoom { room: room.id });
            }
        }
        Ok(seqs)
    }
}
