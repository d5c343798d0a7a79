//! `send`: say something. The `ok` says that it is on disk.

use protocol::{ClientMessageId, CommandId, MessageBody, RoomRef};
use storage::Operation;

#[cfg(feature = "fault-injection")]
use crate::fault_injection::{self, FaultInjection};
use crate::shard::{ConnKey, PendingKind, Shard, ShardServices, Transport};

pub(crate) fn send<L: Transport, O: ShardServices>(
    shard: &mut Shard<L, O>,
    of: ConnKey,
    id: Option<CommandId>,
    room: RoomRef,
    key: Option<ClientMessageId>,
    body: MessageBody,
) {
    #[cfg(feature = "fault-injection")]
    let key = key.filter(|key| {
        let user = shard.connection(of).map(|connection| connection.user);
        let is_retry = user.is_some_and(|user| fault_injection::is_retry(user, key));
        !(is_retry && fault_injection::is(FaultInjection::DeliverTwiceOnRetry))
    });
    shard.submit_write(of, id, PendingKind::Send, Operation::Send { room, key, body });
}
