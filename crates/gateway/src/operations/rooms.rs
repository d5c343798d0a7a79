//! `rooms`: returns a page of the rooms. The rooms come from the store, the number of users online from presence.

use protocol::{Limits, Reply, Rooms, UserId};
use storage::{Reader, RoomQuery};

use super::access::store_failure;
use super::effect::{HandlerEffect, PresenceReply, ReadOperation};
use super::view::View;

pub(super) fn handle(_: &View<'_>, rooms: Rooms) -> Vec<HandlerEffect> {
    vec![HandlerEffect::Read(Box::new(rooms))]
}

impl ReadOperation for Rooms {
    fn read(self: Box<Self>, user: UserId, reader: &mut dyn Reader) -> Vec<HandlerEffect> {
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
                vec![HandlerEffect::ReplyFromPresence(PresenceReply(reply))]
            }
            Err(error) => vec![HandlerEffect::Error(store_failure(&error))],
        }
    }
}
