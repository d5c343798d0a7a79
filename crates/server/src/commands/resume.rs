//! `resume`: come back to rooms one is a member of, each at its own cursor.

use std::cell::Cell;
use std::rc::Rc;

use proto::{CommandId, ErrorFrame, Outcome, Resume, RoomId};
use store::{Refusal, Write};

use crate::shard::{ConnKey, Link, Outside, Purpose, Shard};

pub(super) fn resume<L: Link, O: Outside>(
    shard: &mut Shard<L, O>,
    of: ConnKey,
    id: Option<CommandId>,
    resume: Resume,
) {
    if resume.rooms.is_empty() {
        return shard.say_ok(of, id, Outcome::Done {});
    }
    let left = Rc::new(Cell::new(resume.rooms.len()));
    for (room, after) in resume.rooms {
        let purpose = Purpose::Resume { room, after, epoch: resume.epoch.clone(), left: Rc::clone(&left) };
        shard.ask_writer(of, id, purpose, Write::Open { room });
    }
}

/// One of the rooms cannot be opened. The others can.
pub(super) fn not_opened<L: Link, O: Outside>(
    shard: &mut Shard<L, O>,
    of: ConnKey,
    room: RoomId,
    refusal: Refusal,
) {
    shard.metrics.refused(refusal.code);
    let frame = ErrorFrame { room: Some(room), ..ErrorFrame::new(None, refusal.code, refusal.message) };
    shard.say(of, frame.into());
}

/// Answers the command when the last of its rooms has been answered.
pub(super) fn one_less<L: Link, O: Outside>(
    shard: &mut Shard<L, O>,
    of: ConnKey,
    id: Option<CommandId>,
    left: &Cell<usize>,
) {
    left.set(left.get() - 1);
    if left.get() == 0 {
        shard.say_ok(of, id, Outcome::Done {});
    }
}
