//! `typing`: notify the room with a frame that is no event. A connection that lags does not receive it.

use domain::Permission;
use protocol::{Done, Reply, ServerFrame, Typing, operations};

use super::effect::Effect;
use super::view::View;

pub(super) fn handle(view: &View<'_>, typing: operations::Typing) -> Vec<Effect> {
    match view.permitted_room(Permission::Member, &typing.room) {
        Ok(room) => {
            let frame = ServerFrame::from(Typing { room, by: view.user() });
            vec![Effect::Ephemeral { room, frame }, Effect::Reply(Reply::Typing(Done {}))]
        }
        Err(error) => vec![Effect::Error(error)],
    }
}

#[cfg(test)]
mod tests {
    use protocol::{ErrorCode, RoomId};

    use super::super::view::tests::view;
    use super::*;

    fn in_lobby() -> operations::Typing {
        operations::Typing { room: super::super::lobby() }
    }

    #[test]
    fn typing_in_open_room_is_sent_and_answered() {
        let effects = view(true, |view| handle(view, in_lobby()));
        assert!(matches!(effects[..], [Effect::Ephemeral { room: RoomId(1), .. }, Effect::Reply(_)]));
    }

    #[test]
    fn typing_in_closed_room_is_rejected() {
        let effects = view(false, |view| handle(view, in_lobby()));
        assert!(matches!(&effects[..], [Effect::Error(error)] if error.code == ErrorCode::NotAMember));
    }
}
