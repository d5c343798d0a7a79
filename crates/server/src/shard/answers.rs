//! What the store's writer answers, and to which command.

use protocol::{CommandId, Epoch, ErrorCode, RoomId, RoomRef, Seq, UserId};
use storage::{Actor, CommandError, Operation, OperationResult, TokenHash};

use super::{ConnKey, Shard, ShardServices, Transport};
use crate::commands::{self, Resuming};
use crate::commit_batch::WriteReply;

/// A request that waits for the writer.
#[derive(Debug)]
pub(crate) struct Pending {
    /// Who asked. It may be gone when the answer comes.
    pub(crate) of: ConnKey,
    /// For which command.
    pub(crate) id: Option<CommandId>,
    /// For whom. What they did is theirs also if the connection has gone.
    pub(crate) user: UserId,
    /// The session that is stored with them, if they are not known to be stored.
    pub(crate) registers: Option<TokenHash>,
    pub(crate) kind: PendingKind,
}

/// What the answer is for.
#[derive(Debug)]
pub(crate) enum PendingKind {
    /// `join`. `paid`: the price of a new room was paid, to be given back if none was made.
    Join {
        after: Option<Seq>,
        epoch: Option<Epoch>,
        paid: bool,
        by_name: bool,
    },
    /// One room of a `resume`; the last one to be answered answers the command.
    Resume {
        room: RoomId,
        after: Seq,
        epoch: Option<Epoch>,
        resuming: Resuming,
    },
    Leave,
    Send,
    Rename,
    Read,
    /// A guest who has gone leaves all rooms. Nobody waits, but it has to be done.
    DeferredLeave(Actor),
    /// Nobody waits: a place kept.
    Nobody,
}

impl<L: Transport, O: ShardServices> Shard<L, O> {
    /// Asks the writer on behalf of a connection. A refusal is answered here.
    pub(crate) fn submit_write(
        &mut self,
        of: ConnKey,
        id: Option<CommandId>,
        kind: PendingKind,
        operation: Operation,
    ) {
        let Some(actor) = self.actor(of) else { return };
        let (user, registers) =
            (actor.person.id, actor.registration.and_then(|registration| registration.token));
        let entry = self.pending.vacant_entry();
        let request_id = entry.key();
        match self.services.write(actor, operation, request_id as u64) {
            Ok(()) => {
                entry.insert(Pending { of, id, user, registers, kind });
                if let Some(connection) = self.connection(of) {
                    connection.unanswered = connection.unanswered.saturating_add(1);
                }
            }
            Err(code) => {
                if code == ErrorCode::Overloaded {
                    self.throttle(of);
                }
                let pending = Pending { of, id, user, registers, kind };
                commands::failed(self, pending, crate::command_error::command_error(code));
            }
        }
    }

    /// Whoever asks for more than the writer can do is not read until the next tick: what it sends waits in its own socket.
    fn throttle(&mut self, of: ConnKey) {
        let Some(connection) = self.connection(of) else { return };
        if !std::mem::replace(&mut connection.flags.throttled, true) {
            self.throttled.push(of);
        }
    }

    /// A tick has passed.
    pub(super) fn resume_throttled(&mut self) {
        for of in std::mem::take(&mut self.throttled) {
            if let Some(connection) = self.connection(of) {
                connection.flags.throttled = false;
                self.resume_io(of.index);
            }
        }
    }

    /// Asks the writer for something that nobody waits for. `false`: it has no time now.
    pub(super) fn submit_background_write(
        &mut self,
        actor: Actor,
        kind: PendingKind,
        operation: Operation,
    ) -> bool {
        let of = ConnKey { index: usize::MAX, generation: 0 };
        let user = actor.person.id;
        let request_id = self.pending.insert(Pending { of, id: None, user, registers: None, kind });
        let asked = self.services.write(actor, operation, request_id as u64).is_ok();
        if !asked {
            self.pending.remove(request_id);
        }
        asked
    }

    fn actor(&mut self, of: ConnKey) -> Option<Actor> {
        let user = self.connection(of)?.user;
        Some(self.users.get(&user)?.actor(user))
    }

    pub(super) fn handle_reply(&mut self, answer: WriteReply) {
        let Some(pending) = self.pending.try_remove(answer.request_id as usize) else { return };
        if let Some(connection) = self.connection(pending.of) {
            connection.unanswered = connection.unanswered.saturating_sub(1);
            // It may be read again.
            self.queue_read(pending.of.index);
        }
        match answer.result {
            Ok(done) => {
                self.note_stored(&pending, &done);
                commands::done(self, pending, done);
            }
            Err(refusal) => {
                self.note_perhaps_stored(&pending, refusal.code);
                commands::failed(self, pending, refusal);
            }
        }
    }

    /// What a guest did durably stored the guest, too.
    fn note_stored(&mut self, pending: &Pending, done: &OperationResult) {
        if !matches!(done, OperationResult::Joined { .. } | OperationResult::Renamed { .. }) {
            return;
        }
        if let Some(user_state) = self.users.get_mut(&pending.user) {
            user_state.stored = true;
        }
        if let Some(session) = pending.registers {
            self.services.session_stored(&session);
        }
    }

    /// Whether what would have stored a guest was done is not known.
    fn note_perhaps_stored(&mut self, pending: &Pending, code: ErrorCode) {
        let stores = matches!(pending.kind, PendingKind::Join { .. } | PendingKind::Rename);
        if !stores || !matches!(code, ErrorCode::Unavailable | ErrorCode::Internal) {
            return;
        }
        if let Some(user_state) = self.users.get_mut(&pending.user) {
            user_state.perhaps_stored = true;
        }
    }

    /// The room that a command names, as this connection has it open; or a refusal.
    pub(crate) fn open_room_named(&mut self, of: ConnKey, room: &RoomRef) -> Result<usize, CommandError> {
        let key = match room {
            RoomRef::Id(_) => None,
            RoomRef::Name(name) => Some(name.key()),
        };
        let Some(connection) = self.connections.get(of.index) else {
            return Err(CommandError::from(ErrorCode::NotAMember));
        };
        let named = |index: &usize| match (room, &key) {
            (RoomRef::Id(id), _) => self.rooms[*index].id == *id,
            (_, Some(key)) => self.rooms[*index].name.key() == *key,
            _ => false,
        };
        // Whoever was removed is no member, also before they have read so far.
        let members = connection.subscriptions.iter().filter(|subscription| subscription.end().is_none());
        let open = members.map(|subscription| subscription.room).find(named);
        open.ok_or_else(|| CommandError::from(ErrorCode::NotAMember))
    }
}
