//! What the store's writer answers, and to which command.

use protocol::{CommandId, Epoch, ErrorCode, RoomId, RoomRef, Seq, UserId};
use storage::{Author, Done, Refusal, TokenHash, Write};

use super::{ConnKey, Link, Outside, Shard};
use crate::commands::{self, Resuming};
use crate::round::Answer;

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
    pub(crate) enrols: Option<TokenHash>,
    pub(crate) purpose: Purpose,
}

/// What the answer is for.
#[derive(Debug)]
pub(crate) enum Purpose {
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
    Farewell(Author),
    /// Nobody waits: a place kept.
    Nobody,
}

impl<L: Link, O: Outside> Shard<L, O> {
    /// Asks the writer on behalf of a connection. A refusal is answered here.
    pub(crate) fn ask_writer(&mut self, of: ConnKey, id: Option<CommandId>, purpose: Purpose, deed: Write) {
        let Some(author) = self.author(of) else { return };
        let (user, enrols) = (author.person.id, author.enrol.and_then(|enrol| enrol.token));
        let entry = self.pending.vacant_entry();
        let ticket = entry.key();
        match self.outside.write(author, deed, ticket as u64) {
            Ok(()) => {
                entry.insert(Pending { of, id, user, enrols, purpose });
                if let Some(connection) = self.connection(of) {
                    connection.unanswered = connection.unanswered.saturating_add(1);
                }
            }
            Err(code) => {
                if code == ErrorCode::Overloaded {
                    self.hold_off(of);
                }
                let pending = Pending { of, id, user, enrols, purpose };
                commands::refused(self, pending, crate::writer::refusal(code));
            }
        }
    }

    /// Whoever asks for more than the writer can do is not read until the next tick: what it sends waits in its own socket.
    fn hold_off(&mut self, of: ConnKey) {
        let Some(connection) = self.connection(of) else { return };
        if !std::mem::replace(&mut connection.flags.refused, true) {
            self.refused.push(of);
        }
    }

    /// A tick has passed.
    pub(super) fn read_refused_again(&mut self) {
        for of in std::mem::take(&mut self.refused) {
            if let Some(connection) = self.connection(of) {
                connection.flags.refused = false;
                self.go_on(of.index);
            }
        }
    }

    /// Asks the writer for something that nobody waits for. `false`: it has no time now.
    pub(super) fn ask_writer_quietly(&mut self, author: Author, purpose: Purpose, deed: Write) -> bool {
        let of = ConnKey { index: usize::MAX, generation: 0 };
        let user = author.person.id;
        let ticket = self.pending.insert(Pending { of, id: None, user, enrols: None, purpose });
        let asked = self.outside.write(author, deed, ticket as u64).is_ok();
        if !asked {
            self.pending.remove(ticket);
        }
        asked
    }

    fn author(&mut self, of: ConnKey) -> Option<Author> {
        let user = self.connection(of)?.user;
        Some(self.beings.get(&user)?.author(user))
    }

    pub(super) fn handle_answer(&mut self, answer: Answer) {
        let Some(pending) = self.pending.try_remove(answer.ticket as usize) else { return };
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
                commands::refused(self, pending, refusal);
            }
        }
    }

    /// What a guest did durably stored the guest, too.
    fn note_stored(&mut self, pending: &Pending, done: &Done) {
        if !matches!(done, Done::Joined { .. } | Done::Renamed { .. }) {
            return;
        }
        if let Some(being) = self.beings.get_mut(&pending.user) {
            being.stored = true;
        }
        if let Some(session) = pending.enrols {
            self.outside.session_stored(&session);
        }
    }

    /// Whether what would have stored a guest was done is not known.
    fn note_perhaps_stored(&mut self, pending: &Pending, code: ErrorCode) {
        let stores = matches!(pending.purpose, Purpose::Join { .. } | Purpose::Rename);
        if !stores || !matches!(code, ErrorCode::Unavailable | ErrorCode::Internal) {
            return;
        }
        if let Some(being) = self.beings.get_mut(&pending.user) {
            being.perhaps_stored = true;
        }
    }

    /// The room that a command names, as this connection has it open; or a refusal.
    pub(crate) fn open_room_named(&mut self, of: ConnKey, room: &RoomRef) -> Result<usize, Refusal> {
        let key = match room {
            RoomRef::Id(_) => None,
            RoomRef::Name(name) => Some(name.key()),
        };
        let Some(connection) = self.connections.get(of.index) else {
            return Err(Refusal::from(ErrorCode::NotAMember));
        };
        let named = |index: &usize| match (room, &key) {
            (RoomRef::Id(id), _) => self.rooms[*index].id == *id,
            (_, Some(key)) => self.rooms[*index].name.key() == *key,
            _ => false,
        };
        // Whoever was removed is no member, also before they have read so far.
        let members = connection.memberships.iter().filter(|membership| membership.end().is_none());
        let open = members.map(|membership| membership.room).find(named);
        open.ok_or_else(|| Refusal::from(ErrorCode::NotAMember))
    }
}
