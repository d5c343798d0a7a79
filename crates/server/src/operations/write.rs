//! A plain write: its reply is what the decision returned. Such an operation needs only its line in the table.

use protocol::Reply;
use storage::{Operation, OperationResult};

use super::effect::{Effect, OnReply, unexpected};

/// Turns the result of the operation into its reply. The error is a result of another operation.
type ToReply = fn(OperationResult) -> Result<Reply, OperationResult>;

/// Submits the write, and replies with its result.
pub(super) fn submit(operation: Operation, to_reply: ToReply) -> Vec<Effect> {
    vec![Effect::Write { operation, on_reply: Box::new(WriteReply(to_reply)) }]
}

#[derive(Debug)]
struct WriteReply(ToReply);

impl OnReply for WriteReply {
    fn done(self: Box<Self>, result: OperationResult) -> Vec<Effect> {
        match (self.0)(result) {
            Ok(reply) => vec![Effect::Reply(reply)],
            Err(result) => unexpected(&result),
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::{Command, MessageCount, Read, ReadPosition, Seq};

    use super::super::view::tests::view;
    use super::super::{handle, lobby};
    use super::*;

    #[test]
    fn plain_write_is_answered_with_its_result() {
        let read = Read { room: lobby(), seq: Seq(4) };
        let mut effects = view(false, |view| handle(view, Command::Read(read.clone()).into()));
        let Some(Effect::Write { operation, on_reply }) = effects.pop() else { panic!("{effects:?}") };
        assert_eq!(operation, Operation::Read(read));
        let position = ReadPosition { seq: Seq(4), n: MessageCount(2) };
        let effects = on_reply.done(OperationResult::Read(position));
        assert!(matches!(effects[..], [Effect::Reply(Reply::Read(it))] if it == position), "{effects:?}");
    }
}
