//! `send`: say something. The `ok` says that it is on disk.

use protocol::{ClientMessageId, CommandId, MessageBody, RoomRef};
use storage::Write;

#[cfg(feature = "sabotage")]
use crate::sabotage::{self, Sabotage};
use crate::shard::{ConnKey, Link, Outside, Purpose, Shard};

pub(crate) fn send<L: Link, O: Outside>(
    shard: &mut Shard<L, O>,
    of: ConnKey,
    id: Option<CommandId>,
    room: RoomRef,
    key: Option<ClientMessageId>,
    body: MessageBody,
) {
    #[cfg(feature = "sabotage")]
    let key = key.filter(|key| {
        let user = shard.connection(of).map(|connection| connection.user);
        let is_retry = user.is_some_and(|user| sabotage::is_retry(user, key));
        !(is_retry && sabotage::is(Sabotage::DeliverTwiceOnRetry))
    });
    shard.ask_writer(of, id, Purpose::Send, Write::Send { room, key, body });
}
