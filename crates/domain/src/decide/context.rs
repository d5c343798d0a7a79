//! The input of a decision, and the steps that several operations share.

use protocol::{ErrorCode, Event, EventKind, MessageCount, RoomId, RoomRef, Seq, Timestamp, User, UserId};

use super::DecisionError;
use crate::world::Room;
use crate::{Actor, Effect, Fact, LOBBY, MemberContext, Permission, RoomLimits, World, check};

/// The input of a decision, the same for every operation.
pub struct Context<'c> {
    pub(super) world: &'c World,
    pub(super) now: Timestamp,
    pub(super) limits: &'c RoomLimits,
    pub(super) actor: &'c Actor,
}

impl<'c> Context<'c> {
    pub(super) fn user(&self) -> UserId {
        self.actor.user.id
    }

    /// The room; an unknown one is `room_not_found`.
    pub(super) fn room(&self, reference: &RoomRef) -> Result<&'c Room, DecisionError> {
        Ok(self.world.room(reference)?.ok_or(ErrorCode::RoomNotFound)?)
    }

    /// The room, and the actor under the stored name. An actor without `permission` in the room is rejected with the code of
    /// [`check`].
    pub(super) fn member_of(
        &self,
        permission: Permission,
        reference: &RoomRef,
    ) -> Result<(&'c Room, User), DecisionError> {
        let room = self.room(reference)?;
        let member = self.world.is_member(room.id(), self.user())?;
        check(permission, MemberContext { member, rooms_joined: 0 }, self.limits)?;
        Ok((room, self.stored(self.user())?))
    }

    /// The user under the stored name; a user who is not stored is `unauthorized`.
    pub(super) fn stored(&self, user: UserId) -> Result<User, DecisionError> {
        let name = self.world.user(user)?.ok_or(ErrorCode::Unauthorized)?;
        Ok(User { id: user, name: name.clone() })
    }

    /// The actor under the stored name. For a new actor, `effects` also store the user; without a registration, the error is
    /// `unauthorized`.
    pub(super) fn registered(&self, effects: &mut Vec<Effect>) -> Result<User, DecisionError> {
        let id = self.user();
        if self.world.user(id)?.is_some() {
            return self.stored(id);
        }
        let registration = self.actor.registration.as_ref().ok_or(ErrorCode::Unauthorized)?;
        let user = self.actor.user.clone();
        let transient = registration.token.is_none();
        effects.push(Effect::InsertUser { user: id, name: user.name.clone(), transient });
        effects.extend(registration.token.map(|token| Effect::InsertSession { token, user: id }));
        Ok(user)
    }

    /// The rooms with these ids, which must exist. All missing facts are reported at once, so that one load is enough.
    pub(super) fn rooms(
        &self,
        ids: impl IntoIterator<Item = RoomId>,
    ) -> Result<Vec<&'c Room>, DecisionError> {
        self.all(ids, |id| self.world.room(&RoomRef::Id(id)))
            .map(|rooms| rooms.into_iter().flatten().collect())
    }

    /// Looks up each of `keys`, and reports all missing facts at once.
    fn all<K, T>(
        &self,
        keys: impl IntoIterator<Item = K>,
        look_up: impl Fn(K) -> Result<T, Fact>,
    ) -> Result<Vec<T>, DecisionError> {
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for key in keys {
            match look_up(key) {
                Ok(value) => found.push(value),
                Err(fact) => missing.push(fact),
            }
        }
        if missing.is_empty() { Ok(found) } else { Err(DecisionError::Missing(missing)) }
    }

    /// The next event of the room: number, message count and time follow those of its head.
    pub(super) fn event(&self, room: &Room, by: User, kind: EventKind) -> Event {
        let messages = u64::from(matches!(kind, EventKind::Message { .. }));
        Event {
            kind,
            room: room.id(),
            seq: room.head.next(),
            n: MessageCount(room.n.0 + messages),
            by,
            // The clock may go back; the times of a room must not.
            at: room.last_at.map_or(self.now, |last| last.max(self.now)),
        }
    }

    /// The effects of an event that changes attributes of the room; none if the room has these values already.
    pub(super) fn change_attributes(&self, room: &Room, by: User, kind: EventKind) -> Vec<Effect> {
        let mut attributes = room.info.attributes.clone();
        attributes.apply(&kind);
        if attributes == room.info.attributes {
            return Vec::new();
        }
        let event = self.event(room, by, kind);
        vec![Effect::AppendEvent(event), Effect::SetRoomAttributes { room: room.id(), attributes }]
    }

    /// Whether the room is deleted when its last member leaves: it has no message, and it is not the lobby.
    fn is_disposable(room: &Room) -> bool {
        room.id() != LOBBY && room.n == MessageCount(0)
    }

    /// Ends existing memberships, each in another room, and deletes the rooms that are disposable then. Returns the numbers of
    /// the `member_left` events.
    pub(super) fn remove_member(
        &self,
        rooms: &[&Room],
        user: &User,
        effects: &mut Vec<Effect>,
    ) -> Result<Vec<Seq>, DecisionError> {
        let disposable = rooms.iter().filter(|room| Self::is_disposable(room));
        let counts = self.all(disposable, |room| Ok((room.id(), self.world.member_count(room.id())?)))?;
        let mut seqs = Vec::with_capacity(rooms.len());
        for room in rooms {
            let event = self.event(room, user.clone(), EventKind::MemberLeft {});
            seqs.push(event.seq);
            effects.push(Effect::AppendEvent(event));
            effects.push(Effect::DeleteMembership { room: room.id(), user: user.id });
            if counts.iter().any(|(id, count)| *id == room.id() && *count <= 1) {
                effects.push(Effect::DeleteRoom { room: room.id() });
            }
        }
        Ok(seqs)
    }
}
