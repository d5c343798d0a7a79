//! Becoming a member of a room, which the request may create.

use protocol::{
    ErrorCode, EventKind, Limits, MessageCount, ReadPosition, RoomInfo, RoomName, RoomRef, Seq, User, UserId,
};

use super::{Context, Decide, Decision, DecisionError};
use crate::world::Room;
use crate::{Effect, Fact, MemberContext, Permission, check};

/// Becoming a member. For a member, nothing is appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// The room, by id or name.
    pub room: RoomRef,
    /// Whether to create the room if no room has this name.
    pub create_if_missing: bool,
}

/// A room of which the user is a member, after the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedRoom {
    /// The room's attributes, as of `head`.
    pub info: RoomInfo,
    /// The number of the room's last event; of the `member_joined` if the user became a member now.
    pub head: Seq,
    /// The number of messages up to `head`.
    pub n: MessageCount,
    /// The user's read position; `None` if the user has never moved it.
    pub read: Option<ReadPosition>,
    /// Whether the request created the room; the caller charges its own rate limit for that.
    pub created: bool,
}

impl Decide for Join {
    type Done = JoinedRoom;

    fn facts(&self, user: UserId) -> Vec<Fact> {
        vec![
            Fact::Room(self.room.clone()),
            Fact::Member(self.room.clone(), user),
            Fact::ReadPosition(self.room.clone(), user),
            Fact::User(user),
            Fact::RoomsOf(user),
        ]
    }

    fn decide(&self, context: &Context<'_>) -> Decision<JoinedRoom> {
        let user = context.user();
        let found = context.world.room(&self.room)?;
        let member = match found {
            Some(room) => context.world.is_member(room.id(), user)?,
            None => false,
        };
        if let (Some(room), true) = (found, member) {
            return Ok((Vec::new(), joined(context, room, false)?));
        }
        let new_name = match (found, &self.room) {
            (Some(_), _) => None,
            (None, RoomRef::Name(name)) if self.create_if_missing => Some(name),
            (None, _) => return Err(ErrorCode::RoomNotFound.into()),
        };
        let rooms_joined = u32::try_from(context.world.rooms_of(user)?.len()).unwrap_or(u32::MAX);
        check(Permission::Join, MemberContext { member, rooms_joined }, context.limits)?;
        let mut effects = Vec::new();
        let by = context.registered(&mut effects)?;
        let mut room = match (found, new_name) {
            (Some(room), _) => room.clone(),
            (None, Some(name)) => new_room(context, name, &mut effects)?,
            (None, None) => return Err(ErrorCode::RoomNotFound.into()),
        };
        let mut done = if found.is_some() {
            joined(context, &room, false)?
        } else {
            with_read_position(&room, None, true)
        };
        append(context, &mut room, by, &mut effects);
        effects.push(Effect::InsertMembership { room: room.id(), user, since: room.head });
        done.head = room.head;
        Ok((effects, done))
    }
}

fn new_room(
    context: &Context<'_>,
    name: &RoomName,
    effects: &mut Vec<Effect>,
) -> Result<Room, DecisionError> {
    let id = context.world.next_room()?;
    effects.push(Effect::InsertRoom { room: id, name: name.clone(), created_by: context.user() });
    Ok(Room::new(id, name.clone()))
}

/// Adds the user to the `member_joined` at the room's head if this batch appended it and it names fewer than
/// [`Limits::JOINED_TOGETHER`] users; otherwise appends one.
fn append(context: &Context<'_>, room: &mut Room, user: User, effects: &mut Vec<Effect>) {
    if context.world.join_group(room).is_some_and(|users| users < Limits::JOINED_TOGETHER) {
        effects.push(Effect::ShareJoin { room: room.id(), user });
        return;
    }
    let event = context.event(room, user, EventKind::MemberJoined { also_joined: Vec::new() });
    room.head = event.seq;
    effects.push(Effect::AppendEvent(event));
}

/// The result for a room that exists, without a change.
pub(super) fn joined(context: &Context<'_>, room: &Room, created: bool) -> Result<JoinedRoom, DecisionError> {
    let read = context.world.read_position(room.id(), context.user())?;
    Ok(with_read_position(room, read, created))
}

fn with_read_position(room: &Room, read: Option<ReadPosition>, created: bool) -> JoinedRoom {
    JoinedRoom { info: room.info.clone(), head: room.head, n: room.n, read, created }
}

#[cfg(test)]
mod tests {
    use protocol::{Event, RoomId};

    use super::*;
    use crate::decide::testing::{LIMITS, NOW, TEA, outcome, room_name, user, world};
    use crate::{Actor, OperationResult, Outcome, Request, RequestId, TokenHash, World};

    fn join(name: &str, create_if_missing: bool) -> Join {
        Join { room: RoomRef::Name(room_name(name)), create_if_missing }
    }

    fn joined_event(room: RoomId, seq: u64, n: u64, who: u64) -> Effect {
        Effect::AppendEvent(Event {
            kind: EventKind::MemberJoined { also_joined: Vec::new() },
            room,
            seq: Seq(seq),
            n: MessageCount(n),
            by: user(who),
            at: NOW,
        })
    }

    #[test]
    fn new_guest_is_stored_and_joins() {
        let Outcome::Done(effects, result) = outcome(&world(), 2, join("tea", true)) else { panic!() };
        let id = UserId(2);
        assert_eq!(
            effects,
            [
                Effect::InsertUser { user: id, name: user(2).name, transient: false },
                Effect::InsertSession { token: TokenHash([8; 32]), user: id },
                joined_event(TEA, 10, 4, 2),
                Effect::InsertMembership { room: TEA, user: id, since: Seq(10) },
            ]
        );
        assert!(matches!(result, OperationResult::Join(JoinedRoom { head: Seq(10), created: false, .. })));
    }

    #[test]
    fn missing_room_is_created_on_request_only() {
        let rejected = Outcome::Rejected(ErrorCode::RoomNotFound);
        assert_eq!(outcome(&world(), 2, join("new", false)), rejected);
        let Outcome::Done(effects, result) = outcome(&world(), 2, join("new", true)) else { panic!() };
        let created = Effect::InsertRoom { room: RoomId(6), name: room_name("new"), created_by: UserId(2) };
        assert_eq!(effects[2..4], [created, joined_event(RoomId(6), 1, 0, 2)]);
        assert!(matches!(result, OperationResult::Join(JoinedRoom { head: Seq(1), created: true, .. })));
    }

    #[test]
    fn member_who_joins_again_changes_nothing() {
        let outcome = outcome(&world(), 1, join("tea", true));
        assert!(matches!(outcome, Outcome::Done(effects, _) if effects.is_empty()));
    }

    #[test]
    fn second_join_of_a_batch_shares_the_event() {
        let mut world = world();
        let Outcome::Done(effects, _) = outcome(&world, 2, join("tea", true)) else { panic!() };
        effects.iter().for_each(|effect| world.apply(effect));
        world.load_user(UserId(3), Some(user(3).name));
        world.load_member(TEA, UserId(3), None);
        world.load_read_position(TEA, UserId(3), None);
        world.load_rooms_of(UserId(3), []);
        let Outcome::Done(effects, result) = outcome(&world, 3, join("tea", true)) else { panic!() };
        assert_eq!(
            effects,
            [
                Effect::ShareJoin { room: TEA, user: user(3) },
                Effect::InsertMembership { room: TEA, user: UserId(3), since: Seq(10) },
            ]
        );
        assert!(matches!(result, OperationResult::Join(JoinedRoom { head: Seq(10), .. })));
    }

    #[test]
    fn user_in_as_many_rooms_as_allowed_is_rejected() {
        let mut full = world();
        full.load_user(UserId(4), Some(user(4).name));
        full.load_member(TEA, UserId(4), None);
        full.load_rooms_of(UserId(4), (10..).take(LIMITS.rooms_per_user as usize).map(RoomId));
        let rejected = Outcome::Rejected(ErrorCode::TooManyRooms);
        assert_eq!(outcome(&full, 4, join("tea", true)), rejected);
    }

    #[test]
    fn unknown_user_without_registration_is_rejected() {
        let actor = Actor { user: user(2), registration: None };
        let request = Request { request_id: RequestId(1), actor, operation: join("tea", true).into() };
        let rejected = Outcome::Rejected(ErrorCode::Unauthorized);
        assert_eq!(crate::decide(&world(), NOW, &LIMITS, &request), rejected);
    }

    #[test]
    fn empty_world_misses_the_room_first() {
        let room = RoomRef::Name(room_name("tea"));
        let missing = Outcome::Missing(vec![Fact::Room(room)]);
        assert_eq!(outcome(&World::default(), 1, join("tea", true)), missing);
    }
}
