//! `resume`: come back to rooms one is a member of, each at its own cursor.

use std::cell::Cell;
use std::rc::Rc;

use protocol::{CommandId, CommandResult, ErrorFrame, Resume, RoomId};
use storage::{CommandError, Operation};

use crate::shard::{ConnKey, PendingKind, Shard, ShardServices, Transport};

pub(super) fn resume<L: Transport, O: ShardServices>(
    shard: &mut Shard<L, O>,
    of: ConnKey,
    id: Option<CommandId>,
    resume: Resume,
) {
    if resume.rooms.is_empty() {
        return shard.send_ok(of, id, CommandResult::Done {});
    }
    let resuming = Resuming { id, left: Rc::new(Cell::new(resume.rooms.len())) };
    for (room, after) in resume.rooms {
        let kind =
            PendingKind::Resume { room, after, epoch: resume.epoch.clone(), resuming: resuming.clone() };
        shard.submit_write(of, id, kind, Operation::Open { room });
    }
}

/// A `resume` that is under way: the last of its rooms to be answered answers the command.
#[derive(Clone, Debug)]
pub(crate) struct Resuming {
    id: Option<CommandId>,
    left: Rc<Cell<usize>>,
}

/// A room cannot be opened: for a `join` that is the reply; of a `resume` the other rooms can.
pub(crate) fn not_opened<L: Transport, O: ShardServices>(
    shard: &mut Shard<L, O>,
    of: ConnKey,
    room: RoomId,
    (id, resuming): (Option<CommandId>, Option<Resuming>),
    refusal: CommandError,
) {
    if resuming.is_none() {
        return shard.send_error(of, id, refusal);
    }
    shard.metrics.error(refusal.code);
    let frame = ErrorFrame { room: Some(room), ..ErrorFrame::new(None, refusal.code, refusal.message) };
    shard.send_frame(of, frame.into());
    resumed(shard, of, resuming);
}

/// A room of a `resume` has been answered.
pub(crate) fn resumed<L: Transport, O: ShardServices>(
    shard: &mut Shard<L, O>,
    of: ConnKey,
    resuming: Option<Resuming>,
) {
    let Some(Resuming { id, left }) = resuming else { return };
    left.set(left.get() - 1);
    if left.get() == 0 {
        shard.send_ok(of, id, CommandResult::Done {});
    }
}
