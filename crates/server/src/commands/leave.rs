//! `leave`: stop being a member. The `ok` says that nothing of the room will follow.

use protocol::{CommandId, CommandResult, RoomId, RoomRef, Seq};
use storage::Operation;

use crate::shard::{ConnKey, PendingKind, Shard, ShardServices, Transport};

pub(crate) fn leave<L: Transport, O: ShardServices>(
    shard: &mut Shard<L, O>,
    of: ConnKey,
    id: Option<CommandId>,
    room: RoomRef,
) {
    shard.submit_write(of, id, PendingKind::Leave, Operation::Leave { room });
}

/// It is on disk. What was said before is still on its way to this connection, and comes before the `ok`.
pub(super) fn left<L: Transport, O: ShardServices>(
    shard: &mut Shard<L, O>,
    of: ConnKey,
    id: Option<CommandId>,
    room: RoomId,
    seq: Seq,
) {
    let index = shard.room_keys.get(&room).copied();
    let Some((index, subscription)) =
        index.and_then(|index| Some((index, shard.connection(of)?.subscription(index)?)))
    else {
        // It was not open here, or is not any more.
        return shard.send_ok(of, id, CommandResult::Appended { seq });
    };
    let is_behind = subscription.end().is_none();
    subscription.special().leaving.push((id, seq));
    if is_behind {
        // The event has not come yet, for the bus dropped it, and perhaps others before it: the store has them.
        shard.backfill(index, seq);
    }
    shard.queue_write(of.index);
}
