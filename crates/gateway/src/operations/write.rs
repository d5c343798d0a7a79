//! A plain write: its request goes to `domain::decide` unchanged, and the result is the reply. Such an operation needs no handler.

use domain::{Operation, OperationResult};
use protocol::{Command, ErrorCode};

use super::effect::{HandlerEffect, OnReply, unexpected};

pub(super) fn handle(command: Command) -> Vec<HandlerEffect> {
    match Operation::try_from(command) {
        Ok(operation) => vec![HandlerEffect::Write { operation, on_reply: Box::new(WriteReply) }],
        Err(command) => {
            // `every_operation_has_a_handler` tests that this does not occur.
            tracing::error!(operation = command.row().name, "an operation without a handler");
            vec![HandlerEffect::Error(ErrorCode::Internal.into())]
        }
    }
}

#[derive(Debug)]
struct WriteReply;

impl OnReply for WriteReply {
    fn done(self: Box<Self>, result: OperationResult) -> Vec<HandlerEffect> {
        match result.into_reply() {
            Ok(reply) => vec![HandlerEffect::Reply(reply)],
            Err(result) => unexpected(&result),
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::{CommandEnvelope, MessageCount, OPERATIONS, Read, ReadPosition, Reply, Seq};

    use super::super::view::tests::view;
    use super::super::{handle as handle_request, lobby};
    use super::*;

    #[test]
    fn plain_write_is_answered_with_its_result() {
        let read = Read { room: lobby(), seq: Seq(4) };
        let mut effects = view(false, |view| handle_request(view, Command::Read(read.clone()).into()));
        let Some(HandlerEffect::Write { operation, on_reply }) = effects.pop() else { panic!("{effects:?}") };
        assert_eq!(operation, Operation::Read(read));
        let position = ReadPosition { seq: Seq(4), n: MessageCount(2) };
        let effects = on_reply.done(OperationResult::Read(position));
        assert!(
            matches!(effects[..], [HandlerEffect::Reply(Reply::Read(it))] if it == position),
            "{effects:?}"
        );
    }

    #[test]
    fn every_operation_has_a_handler() {
        for request in OPERATIONS.iter().flat_map(|definition| definition.row.requests) {
            let command = CommandEnvelope::parse(request, 8192).unwrap().command;
            let effects = view(true, |view| handle_request(view, command.into()));
            let is_internal = |effect: &HandlerEffect| matches!(effect, HandlerEffect::Error(error) if error.code == ErrorCode::Internal);
            assert!(!effects.iter().any(is_internal), "{request}");
        }
    }
}
