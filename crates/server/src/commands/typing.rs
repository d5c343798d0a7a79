//! `typing`: tell the room. It is no event; whoever lags does not hear of it.

use protocol::{CommandId, CommandResult, RoomRef, ServerFrame, Typing};

use crate::encoding::json_frame;
use crate::shard::{ConnKey, Shard, ShardServices, Transport};

pub(super) fn typing<L: Transport, O: ShardServices>(
    shard: &mut Shard<L, O>,
    of: ConnKey,
    id: Option<CommandId>,
    room: &RoomRef,
) {
    let index = match shard.open_room_named(of, room) {
        Ok(index) => index,
        Err(refusal) => return shard.send_error(of, id, refusal),
    };
    let room = shard.rooms[index].id;
    let Some(user) = shard.connection(of).map(|connection| connection.user) else { return };
    let Some(by) = shard.users.get(&user).map(|user_state| user_state.person(user)) else { return };
    shard.services.aside(room, json_frame(&ServerFrame::from(Typing { room, by })).into());
    shard.send_ok(of, id, CommandResult::Done {});
}
