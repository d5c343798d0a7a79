//! `ping`: check that the server answers. It is answered also without an id, since the client waits for the reply.

use protocol::{Done, Ping, Reply};

use super::effect::HandlerEffect;
use super::view::View;

pub(super) fn handle(_: &View<'_>, _: Ping) -> Vec<HandlerEffect> {
    vec![HandlerEffect::ReplyAlways(Reply::Ping(Done {}))]
}
