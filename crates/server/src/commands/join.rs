//! `join`: become a member, of a new room if need be, and hear what is said.

use proto::{CommandId, Epoch, Join, RoomId, RoomName, RoomRef, Seq};
use rules::Spending;
use store::Write;

use super::spend;
use crate::shard::{ConnKey, Link, Opening, Outside, Purpose, Shard};

pub(super) fn join<L: Link, O: Outside>(
    shard: &mut Shard<L, O>,
    of: ConnKey,
    id: Option<CommandId>,
    join: Join,
) {
    let Join { room, after, epoch } = join;
    // A room is not made at the first try: making one costs more than finding one.
    let make_next = match &room {
        RoomRef::Name(name) => Some(name.clone()),
        RoomRef::Id(_) => None,
    };
    shard.ask_writer(of, id, Purpose::Join { after, epoch, make_next }, Write::Join { room, make: false });
}

/// As a line client joins.
pub(crate) fn join_without_cursor<L: Link, O: Outside>(shard: &mut Shard<L, O>, of: ConnKey, room: RoomRef) {
    join(shard, of, None, Join { room, after: None, epoch: None });
}

/// There is no room of this name: it is made, if its maker has not made too many.
pub(super) fn make_room<L: Link, O: Outside>(
    shard: &mut Shard<L, O>,
    of: ConnKey,
    id: Option<CommandId>,
    name: RoomName,
    (after, epoch): (Option<Seq>, Option<Epoch>),
) {
    if spend(shard, of, id, Spending::NewRoom) {
        let purpose = Purpose::Join { after, epoch, make_next: None };
        shard.ask_writer(of, id, purpose, Write::Join { room: RoomRef::Name(name), make: true });
    }
}

pub(super) fn joined<L: Link, O: Outside>(
    shard: &mut Shard<L, O>,
    room: RoomId,
    name: RoomName,
    opening: Opening,
) {
    let of = opening.of;
    // A line client hears one room at a time: the one it joined last.
    if shard.connection(of).is_some_and(|connection| connection.lines.is_some()) {
        shard.keep_place(of);
        let open = |shard: &mut Shard<L, O>| {
            shard.connection(of)?.memberships.first().map(|membership| membership.room)
        };
        while let Some(other) = open(shard).filter(|&other| shard.rooms[other].id != room) {
            shard.close_room(of, other);
        }
    }
    shard.open_room(room, name, opening);
}
