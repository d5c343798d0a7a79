//! `read`: "I have seen everything up to here."

use protocol::{CommandId, Read};
use storage::Operation;

use crate::shard::{ConnKey, PendingKind, Shard, ShardServices, Transport};

pub(super) fn read<L: Transport, O: ShardServices>(
    shard: &mut Shard<L, O>,
    of: ConnKey,
    id: Option<CommandId>,
    read: Read,
) {
    let Read { room, seq } = read;
    shard.submit_write(of, id, PendingKind::Read, Operation::Read { room, seq });
}
