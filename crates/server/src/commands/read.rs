//! `read`: "I have seen everything up to here."

use protocol::{CommandId, Read};
use storage::Write;

use crate::shard::{ConnKey, Link, Outside, Purpose, Shard};

pub(super) fn read<L: Link, O: Outside>(
    shard: &mut Shard<L, O>,
    of: ConnKey,
    id: Option<CommandId>,
    read: Read,
) {
    let Read { room, seq } = read;
    shard.ask_writer(of, id, Purpose::Read, Write::Read { room, seq });
}
