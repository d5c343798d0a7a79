//! `rooms`: the rooms, a page at a time. The store has the rooms, and presence has the number of users online.

use protocol::{Limits, Reply, Rooms, UserId};
use storage::{Reader, RoomQuery};

use super::access::store_failure;
use super::effect::{Effect, PresenceReply, ReadOperation};
use super::view::View;

pub(super) fn handle(_: &View<'_>, rooms: Rooms) -> Vec<Effect> {
    vec![Effect::Read(Box::new(rooms))]
}

impl ReadOperation for Rooms {
    fn read(self: Box<Self>, user: UserId, reader: &mut dyn Reader) -> Vec<Effect> {
        let limit = self.limit.unwrap_or(Limits::PAGE).clamp(1, Limits::PAGE);
        let query = RoomQuery { user, joined: self.joined, after: self.after, limit };
        match reader.rooms(query) {
            Ok(mut page) => {
                let reply = Box::new(move |presence: &mut domain::Presence| {
                    for summary in &mut page.rooms {
                        summary.count = presence.count(summary.info.room);
                    }
                    Reply::Rooms(page)
                });
                vec![Effect::ReplyFromPresence(PresenceReply(reply))]
            }
            Err(error) => vec![Effect::Error(store_failure(&error))],
        }
    }
}
