//! `leave`: stop being a member. The `ok` says that nothing of the room will follow.

use proto::{CommandId, Outcome, RoomId, RoomRef, Seq};
use store::Write;

use crate::shard::{ConnKey, Link, Outside, Purpose, Shard};

pub(crate) fn leave<L: Link, O: Outside>(
    shard: &mut Shard<L, O>,
    of: ConnKey,
    id: Option<CommandId>,
    room: RoomRef,
) {
    shard.ask_writer(of, id, Purpose::Leave, Write::Leave { room });
}

/// It is on disk. What was said before is still on its way to this connection, and comes before the `ok`.
pub(super) fn left<L: Link, O: Outside>(
    shard: &mut Shard<L, O>,
    of: ConnKey,
    id: Option<CommandId>,
    room: RoomId,
    seq: Seq,
) {
    let index = shard.room_keys.get(&room).copied();
    let membership = index.and_then(|index| shard.connection(of)?.membership(index));
    match membership.filter(|membership| membership.end().is_some()) {
        Some(membership) => membership.special().leaving.push((id, seq)),
        None => {
            // The event has not come yet, for the bus dropped it: the room is closed here and now.
            if let Some(index) = index {
                shard.close_room(of, index);
            }
            shard.say_ok(of, id, Outcome::Appended { seq });
        }
    }
    shard.queue_write(of.index);
}
