//! `who`: the people who are online in a room, a page at a time.

use protocol::{CommandId, CommandResult, Limits, Who};

use crate::shard::{ConnKey, Shard, ShardServices, Transport};

pub(crate) fn who<L: Transport, O: ShardServices>(
    shard: &mut Shard<L, O>,
    of: ConnKey,
    id: Option<CommandId>,
    who: &Who,
) {
    let index = match shard.open_room_named(of, &who.room) {
        Ok(index) => index,
        Err(refusal) => return shard.send_error(of, id, refusal),
    };
    let room = shard.rooms[index].id;
    let limit = who.limit.unwrap_or(Limits::PAGE).clamp(1, Limits::PAGE);
    let page = shard.services.presence(|presence| presence.page(room, who.after, limit));
    shard.send_ok(of, id, CommandResult::People(page));
}
