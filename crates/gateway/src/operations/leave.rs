//! `leave`: ends the membership. No event of the room follows the `ok`.

use domain::{LeftRoom, OperationResult};
use protocol::{Appended, Leave, Reply};

use super::effect::{HandlerEffect, OnReply, unexpected};
use super::view::View;

pub(super) fn handle(_: &View<'_>, leave: Leave) -> Vec<HandlerEffect> {
    vec![HandlerEffect::Write { operation: leave.into(), on_reply: Box::new(LeaveReply) }]
}

#[derive(Debug)]
struct LeaveReply;

impl OnReply for LeaveReply {
    fn done(self: Box<Self>, result: OperationResult) -> Vec<HandlerEffect> {
        let OperationResult::Leave(LeftRoom { room, seq }) = result else { return unexpected(&result) };
        // Earlier events that are still being delivered to this connection precede the `ok`.
        vec![HandlerEffect::ReplyAfter { room, seq, reply: Reply::Leave(Appended { seq }) }]
    }
}
