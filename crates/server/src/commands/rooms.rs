//! `rooms`: which rooms there are, a page at a time.

use protocol::{CommandId, CommandResult, RoomPage, Rooms};
use storage::CommandError;

use super::history::ask;
use crate::shard::{ConnKey, Query, Shard, ShardServices, Transport};

pub(crate) fn rooms<L: Transport, O: ShardServices>(
    shard: &mut Shard<L, O>,
    of: ConnKey,
    id: Option<CommandId>,
    rooms: Rooms,
) {
    ask(shard, of, id, |user| Query::Rooms { of, id, user, rooms });
}

impl<L: Transport, O: ShardServices> Shard<L, O> {
    /// The store knows the rooms, and presence who is in them.
    pub(crate) fn handle_room_page(
        &mut self,
        of: ConnKey,
        id: Option<CommandId>,
        page: Result<RoomPage, CommandError>,
    ) {
        self.one_read_less(of);
        match page {
            Ok(mut page) => {
                self.services.presence(|presence| {
                    for summary in &mut page.rooms {
                        summary.count = presence.count(summary.room);
                    }
                });
                self.send_ok(of, id, CommandResult::Rooms(page));
            }
            Err(refusal) => self.send_error(of, id, refusal),
        }
    }
}
