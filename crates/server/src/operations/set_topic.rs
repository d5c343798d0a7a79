//! `set_topic`: change the topic of a room.

use protocol::{Reply, SetTopic, TopicSet};
use storage::{Operation, OperationResult};

use super::effect::{Effect, OnReply, unexpected};
use super::view::View;

pub(super) fn handle(_: &View<'_>, SetTopic { room, topic }: SetTopic) -> Vec<Effect> {
    vec![Effect::Write { operation: Operation::SetTopic { room, topic }, on_reply: Box::new(SetTopicReply) }]
}

#[derive(Debug)]
struct SetTopicReply;

impl OnReply for SetTopicReply {
    fn done(self: Box<Self>, result: OperationResult) -> Vec<Effect> {
        let OperationResult::TopicSet { topic } = result else { return unexpected(&result) };
        vec![Effect::Reply(Reply::SetTopic(TopicSet { topic }))]
    }
}
