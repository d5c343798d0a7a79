//! `leave`: stop being a member. After the `ok` nothing of the room follows.

use domain::LeftRoom;
use protocol::{Appended, Leave, Reply};
use storage::OperationResult;

use super::effect::{Effect, OnReply, unexpected};
use super::view::View;

pub(super) fn handle(_: &View<'_>, leave: Leave) -> Vec<Effect> {
    vec![Effect::Write { operation: leave.into(), on_reply: Box::new(LeaveReply) }]
}

#[derive(Debug)]
struct LeaveReply;

impl OnReply for LeaveReply {
    fn done(self: Box<Self>, result: OperationResult) -> Vec<Effect> {
        let OperationResult::Leave(LeftRoom { room, seq }) = result else { return unexpected(&result) };
        // Earlier events are still on their way to this connection, and come before the `ok`.
        vec![Effect::ReplyAfter { room, seq, reply: Reply::Leave(Appended { seq }) }]
    }
}
