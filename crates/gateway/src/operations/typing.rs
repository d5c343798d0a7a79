//! `typing`: notifies the room with an ephemeral frame. A connection that lags does not receive it.

use domain::Permission;
use protocol::{Done, Reply, ServerFrame, Typing, operations};

use super::effect::HandlerEffect;
use super::view::View;

pub(super) fn handle(view: &View<'_>, typing: operations::Typing) -> Vec<HandlerEffect> {
    match view.permitted_room(Permission::Member, &typing.room) {
        Ok(room) => {
            let frame = ServerFrame::from(Typing { room, by: view.user() });
            vec![HandlerEffect::Ephemeral { room, frame }, HandlerEffect::Reply(Reply::Typing(Done {}))]
        }
        Err(error) => vec![HandlerEffect::Error(error)],
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
        assert!(matches!(
            effects[..],
            [HandlerEffect::Ephemeral { room: RoomId(1), .. }, HandlerEffect::Reply(_)]
        ));
    }

    #[test]
    fn typing_in_closed_room_is_rejected() {
        let effects = view(false, |view| handle(view, in_lobby()));
        assert!(matches!(&effects[..], [HandlerEffect::Error(error)] if error.code == ErrorCode::NotAMember));
    }
}
