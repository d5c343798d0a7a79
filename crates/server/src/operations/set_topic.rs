//! `set_topic`: change the topic of a room.

use protocol::{Reply, SetTopic, TopicSet};
use storage::OperationResult;

use super::effect::{Effect, OnReply, unexpected};
use super::view::View;

pub(super) fn handle(_: &View<'_>, set_topic: SetTopic) -> Vec<Effect> {
    vec![Effect::Write { operation: set_topic.into(), on_reply: Box::new(SetTopicReply) }]
}

#[derive(Debug)]
struct SetTopicReply;

impl OnReply for SetTopicReply {
    fn done(self: Box<Self>, result: OperationResult) -> Vec<Effect> {
        let OperationResult::SetTopic(TopicSet { topic }) = result else { return unexpected(&result) };
        vec![Effect::Reply(Reply::SetTopic(TopicSet { topic }))]
    }
}
