//! `rooms`: which rooms there are, a page at a time.

use protocol::{CommandId, Outcome, RoomPage, Rooms};
use storage::Refusal;

use super::history::ask;
use crate::shard::{ConnKey, Link, Outside, Query, Shard};

pub(crate) fn rooms<L: Link, O: Outside>(
    shard: &mut Shard<L, O>,
    of: ConnKey,
    id: Option<CommandId>,
    rooms: Rooms,
) {
    ask(shard, of, id, |user| Query::Rooms { of, id, user, rooms });
}

impl<L: Link, O: Outside> Shard<L, O> {
    /// The store knows the rooms, and presence who is in them.
    pub(crate) fn handle_room_page(
        &mut self,
        of: ConnKey,
        id: Option<CommandId>,
        page: Result<RoomPage, Refusal>,
    ) {
        self.one_read_less(of);
        match page {
            Ok(mut page) => {
                self.outside.presence(|presence| {
                    for summary in &mut page.rooms {
                        summary.count = presence.count(summary.room);
                    }
                });
                self.say_ok(of, id, Outcome::Rooms(page));
            }
            Err(refusal) => self.refuse(of, id, refusal),
        }
    }
}
