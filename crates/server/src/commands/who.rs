//! `who`: the people who are online in a room, a page at a time.

use protocol::{CommandId, Limits, Outcome, Who};

use crate::shard::{ConnKey, Link, Outside, Shard};

pub(crate) fn who<L: Link, O: Outside>(
    shard: &mut Shard<L, O>,
    of: ConnKey,
    id: Option<CommandId>,
    who: &Who,
) {
    let index = match shard.open_room_named(of, &who.room) {
        Ok(index) => index,
        Err(refusal) => return shard.refuse(of, id, refusal),
    };
    let room = shard.rooms[index].id;
    let limit = who.limit.unwrap_or(Limits::PAGE).clamp(1, Limits::PAGE);
    let page = shard.outside.presence(|presence| presence.page(room, who.after, limit));
    shard.say_ok(of, id, Outcome::People(page));
}
