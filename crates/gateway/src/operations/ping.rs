//! `ping`: check that the server answers. It is answered also without an id, since the client waits for the reply.

use protocol::{Done, Ping, Reply};

use super::effect::Effect;
use super::view::View;

pub(super) fn handle(_: &View<'_>, _: Ping) -> Vec<Effect> {
    vec![Effect::ReplyAlways(Reply::Ping(Done {}))]
}
