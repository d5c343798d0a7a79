//! `send`: say something. The `ok` says that it is on disk.

use proto::{ClientMessageId, CommandId, MessageBody, RoomRef};
use store::Write;

use crate::shard::{ConnKey, Link, Outside, Purpose, Shard};

pub(crate) fn send<L: Link, O: Outside>(
    shard: &mut Shard<L, O>,
    of: ConnKey,
    id: Option<CommandId>,
    room: RoomRef,
    key: Option<ClientMessageId>,
    body: MessageBody,
) {
    shard.ask_writer(of, id, Purpose::Send, Write::Send { room, key, body });
}
