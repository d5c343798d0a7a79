//! `send`: appends a message to a room. The `ok` means that it is durable.

use domain::{OperationResult, SentMessage};
use protocol::{Appended, ClientMessageId, MessageBody, Reply, RoomRef, Send};

use super::effect::{HandlerEffect, OnReply, unexpected};
use super::view::View;
#[cfg(feature = "fault-injection")]
use crate::fault_injection::{self, FaultInjection};

pub(super) fn handle(view: &View<'_>, send: Send) -> Vec<HandlerEffect> {
    let Send { room, client_message_id, body } = send;
    let key = Some(client_message_id);
    #[cfg(feature = "fault-injection")]
    let key = key.filter(|key| {
        let is_retry = fault_injection::is_retry(view.user, key);
        !(is_retry && fault_injection::is(FaultInjection::DeliverTwiceOnRetry))
    });
    #[cfg(not(feature = "fault-injection"))]
    let _ = view;
    write(room, key, body)
}

/// A message of a client without message ids, which cannot retry it.
pub(super) fn handle_message(room: RoomRef, body: MessageBody) -> Vec<HandlerEffect> {
    write(room, None, body)
}

fn write(room: RoomRef, key: Option<ClientMessageId>, body: MessageBody) -> Vec<HandlerEffect> {
    vec![HandlerEffect::Write {
        operation: domain::Send { room, key, body }.into(),
        on_reply: Box::new(SendReply),
    }]
}

#[derive(Debug)]
struct SendReply;

impl OnReply for SendReply {
    fn done(self: Box<Self>, result: OperationResult) -> Vec<HandlerEffect> {
        let OperationResult::Send(SentMessage { seq, repeated, .. }) = result else {
            return unexpected(&result);
        };
        let reply = Reply::Send(Appended { seq });
        vec![if repeated { HandlerEffect::Repeated(reply) } else { HandlerEffect::Reply(reply) }]
    }
}
