//! `rename`: be called something else, in every room.

use protocol::{CommandId, Outcome, UserId, UserName};
use storage::Write;

use crate::shard::{ConnKey, Link, Outside, Purpose, Shard};

pub(crate) fn rename<L: Link, O: Outside>(
    shard: &mut Shard<L, O>,
    of: ConnKey,
    id: Option<CommandId>,
    name: UserName,
) {
    shard.ask_writer(of, id, Purpose::Rename, Write::Rename { name });
}

pub(super) fn renamed<L: Link, O: Outside>(
    shard: &mut Shard<L, O>,
    of: ConnKey,
    id: Option<CommandId>,
    user: UserId,
    name: UserName,
) {
    // The connection that asked may be gone; the person's others are theirs all the same.
    let Some(being) = shard.beings.get_mut(&user) else { return };
    being.name = name.clone();
    let mut rooms = Vec::new();
    for &index in &being.connections {
        let Some(connection) = shard.connections.get(index) else { continue };
        rooms.extend(connection.memberships.iter().map(|membership| shard.rooms[membership.room].id));
    }
    shard.outside.presence(|presence| presence.renamed(user, &name, rooms));
    shard.say_ok(of, id, Outcome::Named { name });
}
