//! `join`: become a member, of a new room if need be, and hear what is said.

use std::time::Duration;

use protocol::{CommandId, Join, RoomId, RoomName, RoomRef};
use domain::Spending;
use storage::Write;

use crate::plain_text;
use crate::shard::{ConnKey, Link, Opening, Outside, Purpose, Shard};

pub(super) fn join<L: Link, O: Outside>(
    shard: &mut Shard<L, O>,
    of: ConnKey,
    id: Option<CommandId>,
    join: Join,
) {
    let Join { room, after, epoch } = join;
    // To make a room costs more than to find one, and which it is only the store knows. So the price is paid before, and
    // given back if the room was there. Who cannot pay may still find one. The lobby is always there.
    let by_name = matches!(room, RoomRef::Name(_));
    let is_lobby = room == super::lobby();
    let make = by_name && !is_lobby && pay_for_room(shard, of).is_ok();
    shard.ask_writer(of, id, Purpose::Join { after, epoch, paid: make, by_name }, Write::Join { room, make });
}

fn pay_for_room<L: Link, O: Outside>(shard: &mut Shard<L, O>, of: ConnKey) -> Result<(), Duration> {
    let (now, rates) = (shard.now, shard.settings.rates);
    let user = shard.connection(of).map(|connection| connection.user);
    let being = user.and_then(|user| shard.beings.get_mut(&user));
    being.map_or(Ok(()), |being| being.buckets.take(Spending::NewRoom, now, &rates))
}

/// No room was made after all.
pub(super) fn give_back<L: Link, O: Outside>(shard: &mut Shard<L, O>, of: ConnKey) {
    let rates = shard.settings.rates;
    let user = shard.connection(of).map(|connection| connection.user);
    if let Some(being) = user.and_then(|user| shard.beings.get_mut(&user)) {
        being.buckets.put_back(Spending::NewRoom, &rates);
    }
}

/// As a line client joins.
pub(crate) fn join_without_cursor<L: Link, O: Outside>(shard: &mut Shard<L, O>, of: ConnKey, room: RoomRef) {
    if let Some(lines) = shard.connection(of).and_then(|connection| connection.lines.as_mut()) {
        lines.asked += 1;
    }
    join(shard, of, None, Join { room, after: None, epoch: None });
}

/// There is no such room, and who asked has made too many to make it now.
pub(super) fn too_many_made<L: Link, O: Outside>(
    shard: &mut Shard<L, O>,
    of: ConnKey,
    id: Option<CommandId>,
) {
    match pay_for_room(shard, of) {
        Err(wait) => shard.refuse_rate(of, id, wait),
        // The moment has come while the store was asked: the next try makes it.
        Ok(()) => {
            give_back(shard, of);
            shard.refuse_rate(of, id, Duration::ZERO);
        }
    }
}

pub(super) fn joined<L: Link, O: Outside>(
    shard: &mut Shard<L, O>,
    room: RoomId,
    name: RoomName,
    opening: Opening,
) {
    let lines = shard.connection(opening.of).and_then(|connection| connection.lines.as_mut());
    let line_join = lines.map_or(0, |lines| {
        lines.joins += 1;
        lines.allowed = Some(RoomRef::Id(room));
        lines.joins
    });
    plain_text::join_answered(shard, opening.of);
    shard.open_room(room, name, Opening { line_join, ..opening });
}
