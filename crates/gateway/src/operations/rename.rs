//! `rename`: change the user's name in every room.

use domain::{CommandError, OperationResult};
use protocol::{Named, Rename, Reply};

use super::effect::{Effect, OnReply, unexpected};
use super::view::View;

pub(super) fn handle(_: &View<'_>, rename: Rename) -> Vec<Effect> {
    vec![Effect::Write { operation: rename.into(), on_reply: Box::new(RenameReply) }]
}

#[derive(Debug)]
struct RenameReply;

impl OnReply for RenameReply {
    fn done(self: Box<Self>, result: OperationResult) -> Vec<Effect> {
        let OperationResult::Rename(Named { name }) = result else { return unexpected(&result) };
        let reply = Effect::Reply(Reply::Rename(Named { name: name.clone() }));
        vec![Effect::UserStored, Effect::SetName(name), reply]
    }

    fn failed(self: Box<Self>, error: CommandError) -> Vec<Effect> {
        super::perhaps_stored(&error).into_iter().chain([Effect::Error(error)]).collect()
    }
}
