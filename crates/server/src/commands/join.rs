//! `join`: become a member, of a new room if need be, and hear what is said.

use std::time::Duration;

use domain::RateClass;
use protocol::{CommandId, Join, RoomId, RoomName, RoomRef};
use storage::Operation;

use crate::plain_text;
use crate::shard::{ConnKey, PendingKind, PendingSubscription, Shard, ShardServices, Transport};

pub(super) fn join<L: Transport, O: ShardServices>(
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
    let create_if_missing = by_name && !is_lobby && pay_for_room(shard, of).is_ok();
    shard.submit_write(
        of,
        id,
        PendingKind::Join { after, epoch, paid: create_if_missing, by_name },
        Operation::Join { room, create_if_missing },
    );
}

fn pay_for_room<L: Transport, O: ShardServices>(
    shard: &mut Shard<L, O>,
    of: ConnKey,
) -> Result<(), Duration> {
    let (now, rates) = (shard.now, shard.settings.rates);
    let user = shard.connection(of).map(|connection| connection.user);
    let user_state = user.and_then(|user| shard.users.get_mut(&user));
    user_state.map_or(Ok(()), |user_state| user_state.buckets.take(RateClass::NewRoom, now, &rates))
}

/// No room was made after all.
pub(super) fn refund_room<L: Transport, O: ShardServices>(shard: &mut Shard<L, O>, of: ConnKey) {
    let rates = shard.settings.rates;
    let user = shard.connection(of).map(|connection| connection.user);
    if let Some(user_state) = user.and_then(|user| shard.users.get_mut(&user)) {
        user_state.buckets.refund(RateClass::NewRoom, &rates);
    }
}

/// As a line client joins.
pub(crate) fn join_without_cursor<L: Transport, O: ShardServices>(
    shard: &mut Shard<L, O>,
    of: ConnKey,
    room: RoomRef,
) {
    if let Some(lines) = shard.connection(of).and_then(|connection| connection.lines.as_mut()) {
        lines.asked += 1;
    }
    join(shard, of, None, Join { room, after: None, epoch: None });
}

/// There is no such room, and who asked has made too many to make it now.
pub(super) fn too_many_made<L: Transport, O: ShardServices>(
    shard: &mut Shard<L, O>,
    of: ConnKey,
    id: Option<CommandId>,
) {
    match pay_for_room(shard, of) {
        Err(wait) => shard.send_rate_limited(of, id, wait),
        // The moment has come while the store was asked: the next try makes it.
        Ok(()) => {
            refund_room(shard, of);
            shard.send_rate_limited(of, id, Duration::ZERO);
        }
    }
}

pub(super) fn joined<L: Transport, O: ShardServices>(
    shard: &mut Shard<L, O>,
    room: RoomId,
    name: RoomName,
    pending_subscription: PendingSubscription,
) {
    let lines = shard.connection(pending_subscription.of).and_then(|connection| connection.lines.as_mut());
    let line_join = lines.map_or(0, |lines| {
        lines.joins += 1;
        lines.allowed = Some(RoomRef::Id(room));
        lines.joins
    });
    plain_text::join_answered(shard, pending_subscription.of);
    shard.open_room(room, name, PendingSubscription { line_join, ..pending_subscription });
}
