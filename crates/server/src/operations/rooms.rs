//! `rooms`: the rooms, a page at a time. The store has the rooms, and presence has the number of people online.

use protocol::{Limits, Reply, Rooms};
use storage::{Reader, RoomQuery};

use super::effect::{Effect, PresenceReply, ReadCaller, ReadOperation};
use super::history::command_error;
use super::view::View;

pub(super) fn handle(_: &View<'_>, rooms: Rooms) -> Vec<Effect> {
    vec![Effect::Read(Box::new(rooms))]
}

impl ReadOperation for Rooms {
    fn read(self: Box<Self>, caller: ReadCaller, reader: &mut dyn Reader) -> Vec<Effect> {
        let limit = self.limit.unwrap_or(Limits::PAGE).clamp(1, Limits::PAGE);
        let query = RoomQuery { user: caller.user, joined: self.joined, after: self.after, limit };
        match reader.rooms(query) {
            Ok(mut page) => {
                let reply = Box::new(move |presence: &mut domain::Presence| {
                    for summary in &mut page.rooms {
                        summary.count = presence.count(summary.room);
                    }
                    Reply::Rooms(page)
                });
                vec![Effect::ReplyFromPresence(PresenceReply(reply))]
            }
            Err(error) => vec![Effect::Error(command_error(&error))],
        }
    }
}
