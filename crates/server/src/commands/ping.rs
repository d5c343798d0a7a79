//! `ping`: "are you there?" Answered always, for a page that asks wants to hear something.

use protocol::{CommandId, OkFrame, Outcome};

use crate::shard::{ConnKey, Link, Outside, Shard};

pub(super) fn ping<L: Link, O: Outside>(shard: &mut Shard<L, O>, of: ConnKey, id: Option<CommandId>) {
    shard.say(of, OkFrame { id, outcome: Outcome::Done {} }.into());
}
