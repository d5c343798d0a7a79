//! Moving a read position: never back, never past the head.

pub(super) use protocol::Read;
use protocol::{MessageCount, ReadPosition, Seq, UserId};

use super::{Context, Decide, Decision, DecisionError};
use crate::world::Room;
use crate::{Effect, Fact, Permission};

impl Decide for Read {
    /// The current position, which is the old one if the request would move it back.
    type Done = ReadPosition;

    fn facts(&self, user: UserId) -> Vec<Fact> {
        let room = || self.room.clone();
        vec![
            Fact::Room(room()),
            Fact::Member(room(), user),
            Fact::ReadPosition(room(), user),
            Fact::MessageCount(room(), self.seq),
        ]
    }

    fn decide(&self, context: &Context<'_>) -> Decision<ReadPosition> {
        let (room, user) = context.member_of(Permission::Member, &self.room)?;
        let seq = self.seq.min(room.head);
        let before = context.world.read_position(room.id(), user.id)?;
        if let Some(before) = before
            && before.seq >= seq
        {
            return Ok((Vec::new(), before));
        }
        let position = ReadPosition { seq, n: message_count(context, room, seq)? };
        let effect = Effect::SetReadPosition { room: room.id(), user: user.id, position };
        Ok((vec![effect], position))
    }
}

fn message_count(context: &Context<'_>, room: &Room, seq: Seq) -> Result<MessageCount, DecisionError> {
    if seq == room.head {
        return Ok(room.n);
    }
    if seq == Seq(0) {
        return Ok(MessageCount(0));
    }
    Ok(context.world.message_count(room.id(), seq)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use protocol::{ErrorCode, RoomRef};

    use super::*;
    use crate::decide::testing::{TEA, outcome, world};
    use crate::{OperationResult, Outcome};

    fn read(seq: u64) -> Read {
        Read { room: RoomRef::Id(TEA), seq: Seq(seq) }
    }

    fn position(seq: u64, n: u64) -> ReadPosition {
        ReadPosition { seq: Seq(seq), n: MessageCount(n) }
    }

    #[test]
    fn position_stops_at_the_head() {
        let Outcome::Done(effects, result) = outcome(&world(), 1, read(99)) else { panic!() };
        assert_eq!(result, OperationResult::Read(position(9, 4)));
        let set = Effect::SetReadPosition { room: TEA, user: UserId(1), position: position(9, 4) };
        assert_eq!(effects, [set]);
    }

    #[test]
    fn position_below_the_head_needs_its_message_count() {
        let mut world = world();
        let missing = Fact::MessageCount(RoomRef::Id(TEA), Seq(5));
        assert_eq!(outcome(&world, 1, read(5)), Outcome::Missing(vec![missing]));
        world.load_message_count(TEA, Seq(5), Some(MessageCount(2)));
        let Outcome::Done(_, result) = outcome(&world, 1, read(5)) else { panic!() };
        assert_eq!(result, OperationResult::Read(position(5, 2)));
    }

    #[test]
    fn position_never_goes_back() {
        let mut world = world();
        let position = position(7, 3);
        world.apply(&Effect::SetReadPosition { room: TEA, user: UserId(1), position });
        let done = Outcome::Done(Vec::new(), OperationResult::Read(position));
        assert_eq!(outcome(&world, 1, read(5)), done);
    }

    #[test]
    fn non_member_is_rejected() {
        assert_eq!(outcome(&world(), 2, read(5)), Outcome::Rejected(ErrorCode::NotAMember));
    }
}
