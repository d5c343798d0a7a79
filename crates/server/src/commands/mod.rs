//! One command, one file: what it costs, what it asks for, and what its answer changes.
//!
//! Rates and what the shard knows by itself are checked here, as a courtesy, to refuse early; the store asks the same rules
//! again inside the transaction (`domain::guard`), and its word counts.

mod history;
mod join;
mod leave;
mod ping;
mod read;
mod rename;
mod resume;
mod rooms;
mod send;
mod typing;
mod who;

use domain::RateClass;
use protocol::{Command, CommandId, RoomName, RoomRef};
use storage::{CommandError, OperationResult};

pub(crate) use join::join_without_cursor;
pub(crate) use leave::leave;
pub(crate) use rename::{rename, renamed};
pub(crate) use resume::{Resuming, not_opened, resumed};
pub(crate) use rooms::rooms;
pub(crate) use send::send;
pub(crate) use who::who;

use crate::plain_text;
use crate::shard::{ConnKey, Pending, PendingKind, PendingSubscription, Shard, ShardServices, Transport};

/// Hands a command to its file.
pub(crate) fn handle<L: Transport, O: ShardServices>(
    shard: &mut Shard<L, O>,
    of: ConnKey,
    id: Option<CommandId>,
    command: Command,
) {
    if !acquire(shard, of, id, command.row().rate) {
        return;
    }
    match command {
        Command::Join(join) => join::join(shard, of, id, join),
        Command::Resume(resume) => resume::resume(shard, of, id, resume),
        Command::Leave(leave) => leave::leave(shard, of, id, leave.room),
        Command::Send(send) => send::send(shard, of, id, send.room, Some(send.client_message_id), send.body),
        Command::Typing(typing) => typing::typing(shard, of, id, &typing.room),
        Command::Who(who) => who::who(shard, of, id, &who),
        Command::Rename(rename) => rename::rename(shard, of, id, rename.name),
        Command::Rooms(rooms) => rooms::rooms(shard, of, id, rooms),
        Command::History(history) => history::history(shard, of, id, history),
        Command::Read(read) => read::read(shard, of, id, read),
        Command::Ping(_) => ping::ping(shard, of, id),
    }
}

/// Takes a token, or refuses.
pub(crate) fn acquire<L: Transport, O: ShardServices>(
    shard: &mut Shard<L, O>,
    of: ConnKey,
    id: Option<CommandId>,
    what: RateClass,
) -> bool {
    let (now, rates) = (shard.now, shard.settings.rates);
    let Some(user) = shard.connection(of).map(|connection| connection.user) else { return false };
    let Some(user_state) = shard.users.get_mut(&user) else { return false };
    match user_state.buckets.take(what, now, &rates) {
        Ok(()) => true,
        Err(wait) => {
            shard.send_rate_limited(of, id, wait);
            false
        }
    }
}

/// The writer did what was asked.
pub(crate) fn done<L: Transport, O: ShardServices>(
    shard: &mut Shard<L, O>,
    pending: Pending,
    done: OperationResult,
) {
    let Pending { of, id, user, kind, .. } = pending;
    match (kind, done) {
        (
            PendingKind::Join { after, epoch, paid, .. },
            OperationResult::Joined { room, name, head, n, read, created },
        ) => {
            if paid && !created {
                join::refund_room(shard, of);
            }
            let pending_subscription =
                PendingSubscription { of, id, after, epoch, head, n, read, resume: None, line_join: 0 };
            join::joined(shard, room, name, pending_subscription);
        }
        (
            PendingKind::Resume { after, epoch, resuming, .. },
            OperationResult::Joined { room, name, head, n, read, .. },
        ) => {
            let (after, resume) = (Some(after), Some(resuming));
            let pending_subscription =
                PendingSubscription { of, id: None, after, epoch, head, n, read, resume, line_join: 0 };
            shard.open_room(room, name, pending_subscription);
        }
        (PendingKind::Leave, OperationResult::Left { room, seq }) => leave::left(shard, of, id, room, seq),
        (PendingKind::Send, OperationResult::Sent { seq, .. }) => {
            shard.send_ok(of, id, protocol::CommandResult::Appended { seq })
        }
        (PendingKind::Rename, OperationResult::Renamed { name }) => {
            rename::renamed(shard, of, id, user, name)
        }
        (PendingKind::Read, OperationResult::Read(_, position)) => {
            shard.send_ok(of, id, protocol::CommandResult::Read(position))
        }
        (PendingKind::DeferredLeave(_) | PendingKind::Nobody, _) => {}
        // The store answers each request with its own kind of answer.
        (kind, done) => debug_assert!(false, "{kind:?} was answered {done:?}"),
    }
}

/// The writer, or the way to it, refused.
pub(crate) fn failed<L: Transport, O: ShardServices>(
    shard: &mut Shard<L, O>,
    pending: Pending,
    refusal: CommandError,
) {
    let Pending { of, id, kind, .. } = pending;
    if matches!(kind, PendingKind::Join { .. }) {
        plain_text::join_answered(shard, of);
    }
    match kind {
        PendingKind::Join { paid: false, by_name: true, .. }
            if refusal.code == protocol::ErrorCode::RoomNotFound =>
        {
            join::too_many_made(shard, of, id);
        }
        PendingKind::Join { paid: true, .. } => {
            join::refund_room(shard, of);
            shard.send_error(of, id, refusal);
        }
        PendingKind::Resume { room, resuming, .. } => {
            not_opened(shard, of, room, (None, Some(resuming)), refusal);
        }
        PendingKind::DeferredLeave(actor) if refusal.code.is_retryable() => {
            shard.deferred_leave_failed(actor)
        }
        PendingKind::DeferredLeave(_) | PendingKind::Nobody => {}
        _ => shard.send_error(of, id, refusal),
    }
}

/// The room that everybody finds.
pub(crate) fn lobby() -> RoomRef {
    // The name is a constant, and the tests of `proto` hold that it is legal.
    RoomRef::Name(RoomName::new(RoomName::LOBBY).expect("lobby is a room's name"))
}
