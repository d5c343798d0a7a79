//! `read`: move the user's read position.

use protocol::{Read, Reply};
use storage::OperationResult;

use super::effect::{Effect, OnReply, unexpected};
use super::view::View;

pub(super) fn handle(_: &View<'_>, read: Read) -> Vec<Effect> {
    vec![Effect::Write { operation: read.into(), on_reply: Box::new(ReadReply) }]
}

#[derive(Debug)]
struct ReadReply;

impl OnReply for ReadReply {
    fn done(self: Box<Self>, result: OperationResult) -> Vec<Effect> {
        let OperationResult::Read(position) = result else { return unexpected(&result) };
        vec![Effect::Reply(Reply::Read(position))]
    }
}
