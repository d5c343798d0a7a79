//! `read`: move the user's read position.

use protocol::{Read, Reply};
use storage::{Operation, OperationResult};

use super::effect::{Effect, OnReply, unexpected};
use super::view::View;

pub(super) fn handle(_: &View<'_>, read: Read) -> Vec<Effect> {
    let Read { room, seq } = read;
    vec![Effect::Write { operation: Operation::Read { room, seq }, on_reply: Box::new(ReadReply) }]
}

#[derive(Debug)]
struct ReadReply;

impl OnReply for ReadReply {
    fn done(self: Box<Self>, result: OperationResult) -> Vec<Effect> {
        let OperationResult::Read(_, position) = result else { return unexpected(&result) };
        vec![Effect::Reply(Reply::Read(position))]
    }
}
