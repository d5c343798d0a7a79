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

use protocol::{Command, CommandId, RoomName, RoomRef};
use domain::Spending;
use storage::{Done, Refusal};

pub(crate) use join::join_without_cursor;
pub(crate) use leave::leave;
pub(crate) use rename::rename;
pub(crate) use resume::{Resuming, not_opened, resumed};
pub(crate) use rooms::rooms;
pub(crate) use send::send;
pub(crate) use who::who;

use crate::plain_text;
use crate::shard::{ConnKey, Link, Opening, Outside, Pending, Purpose, Shard};

/// Hands a command to its file.
pub(crate) fn handle<L: Link, O: Outside>(
    shard: &mut Shard<L, O>,
    of: ConnKey,
    id: Option<CommandId>,
    command: Command,
) {
    if !spend(shard, of, id, cost(&command)) {
        return;
    }
    match command {
        Command::Join(join) => join::join(shard, of, id, join),
        Command::Resume(resume) => resume::resume(shard, of, id, resume),
        Command::Leave { room } => leave::leave(shard, of, id, room),
        Command::Send(send) => send::send(shard, of, id, send.room, Some(send.client_message_id), send.body),
        Command::Typing { room } => typing::typing(shard, of, id, &room),
        Command::Who(who) => who::who(shard, of, id, &who),
        Command::Rename { name } => rename::rename(shard, of, id, name),
        Command::Rooms(rooms) => rooms::rooms(shard, of, id, rooms),
        Command::History(history) => history::history(shard, of, id, history),
        Command::Read(read) => read::read(shard, of, id, read),
        Command::Ping {} => ping::ping(shard, of, id),
    }
}

/// What each command is paid with.
pub(crate) fn cost(command: &Command) -> Spending {
    match command {
        Command::Send(_) => Spending::Message,
        Command::Join(_) => Spending::Join,
        Command::Typing { .. } => Spending::Typing,
        _ => Spending::Other,
    }
}

/// Takes a token, or refuses.
pub(crate) fn spend<L: Link, O: Outside>(
    shard: &mut Shard<L, O>,
    of: ConnKey,
    id: Option<CommandId>,
    what: Spending,
) -> bool {
    let (now, rates) = (shard.now, shard.settings.rates);
    let Some(user) = shard.connection(of).map(|connection| connection.user) else { return false };
    let Some(being) = shard.beings.get_mut(&user) else { return false };
    match being.buckets.take(what, now, &rates) {
        Ok(()) => true,
        Err(wait) => {
            shard.refuse_rate(of, id, wait);
            false
        }
    }
}

/// The writer did what was asked.
pub(crate) fn done<L: Link, O: Outside>(shard: &mut Shard<L, O>, pending: Pending, done: Done) {
    let Pending { of, id, user, purpose, .. } = pending;
    match (purpose, done) {
        (Purpose::Join { after, epoch, paid, .. }, Done::Joined { room, name, head, n, read, made }) => {
            if paid && !made {
                join::give_back(shard, of);
            }
            let opening = Opening { of, id, after, epoch, head, n, read, resume: None, line_join: 0 };
            join::joined(shard, room, name, opening);
        }
        (Purpose::Resume { after, epoch, resuming, .. }, Done::Joined { room, name, head, n, read, .. }) => {
            let (after, resume) = (Some(after), Some(resuming));
            let opening = Opening { of, id: None, after, epoch, head, n, read, resume, line_join: 0 };
            shard.open_room(room, name, opening);
        }
        (Purpose::Leave, Done::Left { room, seq }) => leave::left(shard, of, id, room, seq),
        (Purpose::Send, Done::Sent { seq, .. }) => shard.say_ok(of, id, protocol::Outcome::Appended { seq }),
        (Purpose::Rename, Done::Renamed { name }) => rename::renamed(shard, of, id, user, name),
        (Purpose::Read, Done::Read(_, position)) => shard.say_ok(of, id, protocol::Outcome::Read(position)),
        (Purpose::Farewell(_) | Purpose::Nobody, _) => {}
        // The store answers each request with its own kind of answer.
        (purpose, done) => debug_assert!(false, "{purpose:?} was answered {done:?}"),
    }
}

/// The writer, or the way to it, refused.
pub(crate) fn refused<L: Link, O: Outside>(shard: &mut Shard<L, O>, pending: Pending, refusal: Refusal) {
    let Pending { of, id, purpose, .. } = pending;
    if matches!(purpose, Purpose::Join { .. }) {
        plain_text::join_answered(shard, of);
    }
    match purpose {
        Purpose::Join { paid: false, by_name: true, .. }
            if refusal.code == protocol::ErrorCode::RoomNotFound =>
        {
            join::too_many_made(shard, of, id);
        }
        Purpose::Join { paid: true, .. } => {
            join::give_back(shard, of);
            shard.refuse(of, id, refusal);
        }
        Purpose::Resume { room, resuming, .. } => {
            not_opened(shard, of, room, (None, Some(resuming)), refusal);
        }
        Purpose::Farewell(author) if refusal.code.is_retryable() => shard.farewell_failed(author),
        Purpose::Farewell(_) | Purpose::Nobody => {}
        _ => shard.refuse(of, id, refusal),
    }
}

/// The room that everybody finds.
pub(crate) fn lobby() -> RoomRef {
    // The name is a constant, and the tests of `proto` hold that it is legal.
    RoomRef::Name(RoomName::new(RoomName::LOBBY).expect("lobby is a room's name"))
}
