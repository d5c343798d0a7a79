//! `rename`: changes the user's name in every room.

use domain::{CommandError, OperationResult};
use protocol::{Named, Rename, Reply};

use super::effect::{HandlerEffect, OnReply, unexpected};
use super::view::View;

pub(super) fn handle(_: &View<'_>, rename: Rename) -> Vec<HandlerEffect> {
    vec![HandlerEffect::Write { operation: rename.into(), on_reply: Box::new(RenameReply) }]
}

#[derive(Debug)]
struct RenameReply;

impl OnReply for RenameReply {
    fn done(self: Box<Self>, result: OperationResult) -> Vec<HandlerEffect> {
        let OperationResult::Rename(Named { name }) = result else { return unexpected(&result) };
        let reply = HandlerEffect::Reply(Reply::Rename(Named { name: name.clone() }));
        vec![HandlerEffect::UserStored, HandlerEffect::SetName(name), reply]
    }

    fn failed(self: Box<Self>, error: CommandError) -> Vec<HandlerEffect> {
        super::perhaps_stored(&error).into_iter().chain([HandlerEffect::Error(error)]).collect()
    }
}
