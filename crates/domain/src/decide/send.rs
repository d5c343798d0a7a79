//! Sending a message. The idempotency key is checked before the rules: the sender may have left since the first attempt, and
//! must still learn that the message was stored.

use protocol::{ClientMessageId, ErrorCode, EventKind, MessageBody, RoomId, RoomRef, Seq, UserId};

use super::{Context, Decide, Decision};
use crate::{Effect, Fact, Permission};

/// Appends a message, at most once per idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Send {
    /// The room, by id or name.
    pub room: RoomRef,
    /// The idempotency key: the same key, room and body is the same message. A message from plain text has none.
    pub key: Option<ClientMessageId>,
    /// The text, within the limit of the server when it was received.
    pub body: MessageBody,
}

/// A message that is stored, now or before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentMessage {
    /// The room, by id.
    pub room: RoomId,
    /// The number of the message; of the first one if the request was a repetition.
    pub seq: Seq,
    /// Whether the message was stored before; then nothing was appended.
    pub repeated: bool,
}

impl Decide for Send {
    type Done = SentMessage;

    fn facts(&self, user: UserId) -> Vec<Fact> {
        let mut facts = vec![Fact::Room(self.room.clone()), Fact::Member(self.room.clone(), user)];
        facts.extend(self.key.as_ref().map(|key| Fact::KeyedMessage(user, key.clone())));
        facts
    }

    fn decide(&self, context: &Context<'_>) -> Decision<SentMessage> {
        let Send { room, key, body } = self;
        if let Some(key) = key
            && let Some(sent) = context.world.keyed_message(context.user(), key)?
        {
            let same = context.world.room_id(room)? == Some(sent.room) && sent.body == *body;
            return if same {
                Ok((Vec::new(), SentMessage { room: sent.room, seq: sent.seq, repeated: true }))
            } else {
                Err(ErrorCode::KeyConflict.into())
            };
        }
        let (room, user) = context.member_of(Permission::Member, room)?;
        let kind = EventKind::Message { client_message_id: key.clone(), body: body.clone() };
        let event = context.event(room, user, kind);
        let sent = SentMessage { room: room.id(), seq: event.seq, repeated: false };
        Ok((vec![Effect::AppendEvent(event)], sent))
    }
}

#[cfg(test)]
mod tests {
    use protocol::{MessageCount, Timestamp};

    use super::*;
    use crate::decide::testing::{LIMITS, TEA, outcome, request, world};
    use crate::{KeyedMessage, OperationResult, Outcome, World};

    fn key() -> ClientMessageId {
        ClientMessageId::new("k1").unwrap()
    }

    fn body(text: &str) -> MessageBody {
        MessageBody::new(text, 8192).unwrap()
    }

    fn send(room: RoomId, text: &str) -> Send {
        Send { room: RoomRef::Id(room), key: Some(key()), body: body(text) }
    }

    /// User 1 has sent "hello" with the key, or nothing.
    fn with_key(sent: bool) -> World {
        let mut world = world();
        let message = KeyedMessage { room: TEA, seq: Seq(3), body: body("hello") };
        world.load_keyed_message(UserId(1), key(), sent.then_some(message));
        world.load_keyed_message(UserId(2), key(), None);
        world.load_room(&RoomRef::Id(RoomId(77)), None);
        world
    }

    #[test]
    fn message_follows_the_head_under_the_stored_name() {
        let Outcome::Done(effects, result) = outcome(&with_key(false), 1, send(TEA, "hello")) else {
            panic!()
        };
        let [Effect::AppendEvent(event)] = &effects[..] else { panic!("{effects:?}") };
        assert_eq!((event.seq, event.n, event.by.name.as_str()), (Seq(10), MessageCount(5), "stored"));
        assert_eq!(result, OperationResult::Send(SentMessage { room: TEA, seq: Seq(10), repeated: false }));
    }

    #[test]
    fn time_does_not_go_back_with_the_clock() {
        let request = request(1, send(TEA, "hello"));
        let outcome = crate::decide(&with_key(false), Timestamp(3), &LIMITS, &request);
        let Outcome::Done(effects, _) = outcome else { panic!() };
        assert!(matches!(&effects[0], Effect::AppendEvent(event) if event.at == Timestamp(500)));
    }

    #[test]
    fn repeated_message_is_answered_with_its_first_number() {
        let sent = OperationResult::Send(SentMessage { room: TEA, seq: Seq(3), repeated: true });
        assert_eq!(outcome(&with_key(true), 1, send(TEA, "hello")), Outcome::Done(Vec::new(), sent));
    }

    #[test]
    fn key_for_another_room_or_body_conflicts() {
        let conflict = Outcome::Rejected(ErrorCode::KeyConflict);
        assert_eq!(outcome(&with_key(true), 1, send(TEA, "bye")), conflict);
        assert_eq!(outcome(&with_key(true), 1, send(RoomId(77), "hello")), conflict);
    }

    #[test]
    fn non_member_and_missing_room_are_rejected() {
        let world = with_key(false);
        assert_eq!(outcome(&world, 2, send(TEA, "hello")), Outcome::Rejected(ErrorCode::NotAMember));
        assert_eq!(outcome(&world, 1, send(RoomId(77), "hello")), Outcome::Rejected(ErrorCode::RoomNotFound));
    }
}
