//! `who`: returns a page of the users who are online in a room. The store checks the membership; the users come from presence.

use domain::{Permission, Presence};
use protocol::{Limits, Reply, UserId, Who};
use storage::Reader;

use super::access::permitted_room;
use super::effect::{HandlerEffect, PresenceReply, ReadOperation};
use super::view::View;

pub(super) fn handle(_: &View<'_>, who: Who) -> Vec<HandlerEffect> {
    vec![HandlerEffect::Read(Box::new(who))]
}

impl ReadOperation for Who {
    fn read(self: Box<Self>, user: UserId, reader: &mut dyn Reader) -> Vec<HandlerEffect> {
        let room = match permitted_room(reader, Permission::Member, &self.room, user) {
            Ok(room) => room,
            Err(error) => return vec![HandlerEffect::Error(error)],
        };
        let (after, limit) = (self.after, self.limit.unwrap_or(Limits::PAGE).clamp(1, Limits::PAGE));
        let reply = move |presence: &mut Presence| Reply::Who(presence.page(room, after, limit));
        vec![HandlerEffect::ReplyFromPresence(PresenceReply(Box::new(reply)))]
    }
}

#[cfg(test)]
mod tests {
    use domain::{Actor, Registration, Request, RequestId, RoomLimits};
    use protocol::{ErrorCode, RoomId, RoomRef, Timestamp, User, UserName};
    use storage::{MemoryStore, Store};

    use super::super::lobby;
    use super::*;

    /// The effects of `who` for a user; user 1 is a member of the lobby.
    fn who(room: RoomRef, user: u64) -> Vec<HandlerEffect> {
        let store = MemoryStore::new(RoomLimits::default());
        let li = User { id: UserId(1), name: UserName::new("Li").unwrap() };
        let actor = Actor { user: li, registration: Some(Registration { token: None }) };
        let operation = domain::Join { room: lobby(), create_if_missing: false }.into();
        let join = Request { request_id: RequestId(0), actor, operation };
        drop(store.writer().unwrap().commit(Timestamp(0), vec![join]));
        let who = Who { room, after: None, limit: None };
        Box::new(who).read(UserId(user), &mut *store.reader().unwrap())
    }

    #[test]
    fn member_receives_who_is_online() {
        assert!(matches!(who(lobby(), 1)[..], [HandlerEffect::ReplyFromPresence(_)]));
    }

    #[test]
    fn who_by_non_member_is_rejected() {
        for (room, code) in
            [(lobby(), ErrorCode::NotAMember), (RoomRef::Id(RoomId(99)), ErrorCode::RoomNotFound)]
        {
            let effects = who(room, 2);
            assert!(
                matches!(&effects[..], [HandlerEffect::Error(error)] if error.code == code),
                "{effects:?}"
            );
        }
    }
}
