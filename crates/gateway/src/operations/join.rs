//! `join`: makes the user a member of a room, which may be new, and opens it for the connection.

use std::time::Duration;

use domain::{CommandError, JoinedRoom, OperationResult, RateClass};
use protocol::{Epoch, ErrorCode, Join, RoomRef, Seq};

use super::effect::{Attach, HandlerEffect, OnReply, unexpected};
use super::view::View;

/// Creating a room takes a token of its own class, but only the store can tell whether the room exists. So the token is taken in
/// advance, and returned if the room existed. The lobby always exists.
pub(super) fn additional_rate_class(join: &Join) -> Option<RateClass> {
    let may_create = matches!(join.room, RoomRef::Name(_)) && join.room != super::lobby();
    may_create.then_some(RateClass::NewRoom)
}

/// A user without a token for a new room may still join an existing one.
pub(super) fn handle(view: &View<'_>, join: Join) -> Vec<HandlerEffect> {
    let Join { room, after, epoch } = join;
    let new_room_token = view.additional_token;
    let create_if_missing = new_room_token == Some(Ok(()));
    let on_reply = Box::new(JoinReply { after, epoch, new_room_token });
    vec![HandlerEffect::Write { operation: domain::Join { room, create_if_missing }.into(), on_reply }]
}

#[derive(Debug)]
struct JoinReply {
    after: Option<Seq>,
    epoch: Option<Epoch>,
    /// Whether a token for a new room was taken, or after how long there is one; `None` for a join that creates no room.
    new_room_token: Option<Result<(), Duration>>,
}

impl JoinReply {
    fn refund(&self) -> Option<HandlerEffect> {
        (self.new_room_token == Some(Ok(()))).then_some(HandlerEffect::Refund(RateClass::NewRoom))
    }
}

impl OnReply for JoinReply {
    fn done(self: Box<Self>, result: OperationResult) -> Vec<HandlerEffect> {
        let OperationResult::Join(JoinedRoom { info, head, n, read, created }) = result else {
            return unexpected(&result);
        };
        let mut effects = vec![HandlerEffect::UserStored];
        effects.extend(self.refund().filter(|_| !created));
        let JoinReply { after, epoch, .. } = *self;
        effects.push(HandlerEffect::Attach(Attach { info, head, n, read, after, epoch, resume: None }));
        effects
    }

    fn failed(self: Box<Self>, error: CommandError) -> Vec<HandlerEffect> {
        let mut effects = vec![HandlerEffect::JoinRejected];
        effects.extend(super::perhaps_stored(&error));
        effects.extend(self.refund());
        effects.push(match (error.code, self.new_room_token) {
            // The room does not exist, and the user has no token to create it now.
            (ErrorCode::RoomNotFound, Some(Err(wait))) => HandlerEffect::RateLimited(wait),
            _ => HandlerEffect::Error(error),
        });
        effects
    }
}

#[cfg(test)]
mod tests {
    use protocol::{MessageCount, RoomId, RoomInfo, RoomName};

    use super::super::view::tests::view;
    use super::*;

    fn by_name(name: &str) -> Join {
        Join { room: RoomRef::Name(RoomName::new(name).unwrap()), after: None, epoch: None }
    }

    fn joined(created: bool) -> OperationResult {
        let info = RoomInfo::new(RoomId(2), RoomName::new("tea").unwrap());
        OperationResult::Join(JoinedRoom { info, head: Seq(0), n: MessageCount(0), read: None, created })
    }

    const WAIT: Duration = Duration::from_secs(30);

    fn reply(has_token: bool) -> Box<JoinReply> {
        let new_room_token = Some(if has_token { Ok(()) } else { Err(WAIT) });
        Box::new(JoinReply { after: None, epoch: None, new_room_token })
    }

    #[test]
    fn join_by_name_takes_a_token_for_a_new_room() {
        assert_eq!(additional_rate_class(&by_name("tea")), Some(RateClass::NewRoom));
        assert_eq!(additional_rate_class(&by_name("lobby")), None);
        assert_eq!(additional_rate_class(&Join { room: RoomRef::Id(RoomId(2)), ..by_name("tea") }), None);
    }

    #[test]
    fn join_without_new_room_token_creates_no_room() {
        let effects = view(false, |view| handle(view, by_name("tea")));
        let [
            HandlerEffect::Write {
                operation: domain::Operation::Join(domain::Join { create_if_missing, .. }),
                ..
            },
        ] = &effects[..]
        else {
            panic!("{effects:?}");
        };
        assert!(!create_if_missing);
    }

    #[test]
    fn join_of_existing_room_is_refunded() {
        let is_refund = |effect: &HandlerEffect| matches!(effect, HandlerEffect::Refund(RateClass::NewRoom));
        assert!(reply(true).done(joined(false)).iter().any(is_refund));
        assert!(!reply(true).done(joined(true)).iter().any(is_refund));
        assert!(!reply(false).done(joined(false)).iter().any(is_refund));
        assert!(reply(true).failed(CommandError::from(ErrorCode::TooManyRooms)).iter().any(is_refund));
    }

    #[test]
    fn join_of_missing_room_without_token_is_rate_limited() {
        let effects = reply(false).failed(CommandError::from(ErrorCode::RoomNotFound));
        assert!(matches!(effects[..], [HandlerEffect::JoinRejected, HandlerEffect::RateLimited(WAIT)]));
    }
}
