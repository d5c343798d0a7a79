//! `typing`: tell the room. It is no event; whoever lags does not hear of it.

use protocol::{CommandId, Outcome, RoomRef, ServerFrame, Typing};

use crate::encoding::json_frame;
use crate::shard::{ConnKey, Link, Outside, Shard};

pub(super) fn typing<L: Link, O: Outside>(
    shard: &mut Shard<L, O>,
    of: ConnKey,
    id: Option<CommandId>,
    room: &RoomRef,
) {
    let index = match shard.open_room_named(of, room) {
        Ok(index) => index,
        Err(refusal) => return shard.refuse(of, id, refusal),
    };
    let room = shard.rooms[index].id;
    let Some(user) = shard.connection(of).map(|connection| connection.user) else { return };
    let Some(by) = shard.beings.get(&user).map(|being| being.person(user)) else { return };
    shard.outside.aside(room, json_frame(&ServerFrame::from(Typing { room, by })).into());
    shard.say_ok(of, id, Outcome::Done {});
}
