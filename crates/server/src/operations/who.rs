//! `who`: the people who are online in a room, a page at a time.

use protocol::{Limits, Reply, Who};

use super::effect::{Effect, PresenceReply};
use super::view::View;

pub(super) fn handle(view: &View<'_>, who: Who) -> Vec<Effect> {
    let room = match view.open_room(&who.room) {
        Ok(room) => room,
        Err(error) => return vec![Effect::Error(error)],
    };
    let limit = who.limit.unwrap_or(Limits::PAGE).clamp(1, Limits::PAGE);
    let after = who.after;
    let page = Box::new(move |presence: &mut domain::Presence| {
        Reply::Who(presence.page(room, after, limit))
    });
    vec![Effect::ReplyFromPresence(PresenceReply(page))]
}

#[cfg(test)]
mod tests {
    use protocol::ErrorCode;

    use super::super::view::tests::view;
    use super::*;

    #[test]
    fn who_in_closed_room_is_refused() {
        let who = || Who { room: super::super::lobby(), after: None, limit: None };
        let effects = view(false, |view| handle(view, who()));
        assert!(matches!(&effects[..], [Effect::Error(error)] if error.code == ErrorCode::NotAMember));
        let effects = view(true, |view| handle(view, who()));
        assert!(matches!(effects[..], [Effect::ReplyFromPresence(_)]));
    }
}
