//! `ping`: "are you there?" Answered always, for a page that asks wants to hear something.

use protocol::{CommandId, CommandResult, OkFrame};

use crate::shard::{ConnKey, Shard, ShardServices, Transport};

pub(super) fn ping<L: Transport, O: ShardServices>(
    shard: &mut Shard<L, O>,
    of: ConnKey,
    id: Option<CommandId>,
) {
    shard.send_frame(of, OkFrame { id, outcome: CommandResult::Done {} }.into());
}
