//! `ping`: checks the connection. It has a reply even without an id, because the client waits for one.

use protocol::{Done, Ping, Reply};

use super::effect::HandlerEffect;
use super::view::View;

pub(super) fn handle(_: &View<'_>, _: Ping) -> Vec<HandlerEffect> {
    vec![HandlerEffect::ReplyAlways(Reply::Ping(Done {}))]
}
