//! `rename`: be called something else, in every room.

use protocol::{CommandId, CommandResult, UserId, UserName};
use storage::Operation;

use crate::shard::{ConnKey, PendingKind, Shard, ShardServices, Transport};

pub(crate) fn rename<L: Transport, O: ShardServices>(
    shard: &mut Shard<L, O>,
    of: ConnKey,
    id: Option<CommandId>,
    name: UserName,
) {
    shard.submit_write(of, id, PendingKind::Rename, Operation::Rename { name });
}

pub(crate) fn renamed<L: Transport, O: ShardServices>(
    shard: &mut Shard<L, O>,
    of: ConnKey,
    id: Option<CommandId>,
    user: UserId,
    name: UserName,
) {
    // The connection that asked may be gone; the person's others are theirs all the same.
    let Some(user_state) = shard.users.get_mut(&user) else { return };
    user_state.name = name.clone();
    let mut rooms = Vec::new();
    for &index in &user_state.connections {
        let Some(connection) = shard.connections.get(index) else { continue };
        rooms.extend(connection.subscriptions.iter().map(|subscription| shard.rooms[subscription.room].id));
    }
    shard.services.presence(|presence| presence.renamed(user, &name, rooms));
    shard.send_ok(of, id, CommandResult::Named { name });
}
