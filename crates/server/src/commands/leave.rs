//! `leave`: stop being a member. The `ok` says that nothing of the room will follow.

use protocol::{CommandId, Outcome, RoomId, RoomRef, Seq};
use storage::Write;

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
    let Some((index, membership)) =
        index.and_then(|index| Some((index, shard.connection(of)?.membership(index)?)))
    else {
        // It was not open here, or is not any more.
        return shard.say_ok(of, id, Outcome::Appended { seq });
    };
    let is_behind = membership.end().is_none();
    membership.special().leaving.push((id, seq));
    if is_behind {
        // The event has not come yet, for the bus dropped it, and perhaps others before it: the store has them.
        shard.fill(index, seq);
    }
    shard.queue_write(of.index);
}
