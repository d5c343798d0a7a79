//! Worlds and requests for the unit tests of decisions.

use protocol::{MessageCount, RoomId, RoomInfo, RoomName, RoomRef, Seq, Timestamp, User, UserId, UserName};

use crate::world::Room;
use crate::{
    Actor, Operation, Outcome, Registration, Request, RequestId, RoomLimits, TokenHash, World, decide,
};

pub(crate) const LIMITS: RoomLimits = RoomLimits { rooms_per_user: 2 };
pub(crate) const NOW: Timestamp = Timestamp(1_000);
pub(crate) const TEA: RoomId = RoomId(5);
pub(crate) const TOKEN: TokenHash = TokenHash([7; 32]);

pub(crate) fn user_name(name: &str) -> UserName {
    UserName::new(name).unwrap()
}

pub(crate) fn room_name(name: &str) -> RoomName {
    RoomName::new(name).unwrap()
}

pub(crate) fn user(n: u64) -> User {
    User { id: UserId(n), name: user_name(&format!("user {n}")) }
}

/// The room "tea" with 9 events, 4 of them messages.
pub(crate) fn tea() -> Room {
    Room {
        info: RoomInfo::new(TEA, room_name("tea")),
        head: Seq(9),
        n: MessageCount(4),
        last_at: Some(Timestamp(500)),
    }
}

/// User 1 is stored as "stored", has session [`TOKEN`] and is the only member of [`tea`].
pub(crate) fn world() -> World {
    let mut world = World::default();
    world.load_room(&RoomRef::Id(TEA), Some(tea()));
    world.load_room(&RoomRef::Name(room_name("tea")), Some(tea()));
    world.load_room(&RoomRef::Name(room_name("new")), None);
    world.load_user(UserId(1), Some(user_name("stored")));
    world.load_member(TEA, UserId(1), Some(user_name("stored")));
    world.load_read_position(TEA, UserId(1), None);
    world.load_rooms_of(UserId(1), [TEA]);
    world.load_session(TOKEN, Some(UserId(1)));
    world.load_session_count(UserId(1), 1);
    world.load_user(UserId(2), None);
    world.load_member(TEA, UserId(2), None);
    world.load_read_position(TEA, UserId(2), None);
    world.load_rooms_of(UserId(2), []);
    world.load_member_count(TEA, 1);
    world.load_next_room(RoomId(6));
    world
}

/// A request of user `n`, who may be stored with a session.
pub(crate) fn request(n: u64, operation: impl Into<Operation>) -> Request {
    let registration = Some(Registration { token: Some(TokenHash([8; 32])) });
    Request {
        request_id: RequestId(1),
        actor: Actor { user: user(n), registration },
        operation: operation.into(),
    }
}

pub(crate) fn outcome(world: &World, n: u64, operation: impl Into<Operation>) -> Outcome {
    decide(world, NOW, &LIMITS, &request(n, operation))
}
