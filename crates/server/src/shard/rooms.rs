//! Opening a room for a connection, closing it again, and what its log is told.

use protocol::{
    CommandId, Epoch, ErrorCode, ErrorFrame, Gap, Joined, Limits, MessageCount, Person, ReadPosition, Reset,
    RoomId, RoomName, Seq,
};
use room_log::Hole;
use storage::Refusal;

use super::connection::{CatchUp, Membership, Phase};
use super::room::Room;
use super::{ConnKey, Link, Outside, Query, Shard};
use crate::arrival::Speaks;
use crate::commands::{self, Resuming};
use crate::encoding::Encoding;
use crate::round::Committed;
use crate::sabotage::{self, Sabotage};

/// A room that is to be opened for a connection.
#[derive(Clone, Debug)]
pub(crate) struct Opening {
    pub(crate) of: ConnKey,
    pub(crate) id: Option<CommandId>,
    /// What the client has.
    pub(crate) after: Option<Seq>,
    /// The epoch in which it got that.
    pub(crate) epoch: Option<Epoch>,
    /// The room as the store answered.
    pub(crate) head: Seq,
    pub(crate) n: MessageCount,
    pub(crate) read: Option<ReadPosition>,
    /// The `resume` that it is a part of.
    pub(crate) resume: Option<Resuming>,
    /// Which of a line client's joins it is: only the last one counts.
    pub(crate) line_join: u32,
}

impl<L: Link, O: Outside> Shard<L, O> {
    /// Opens a room that the store has said this connection's person is a member of. The answer came in its place among
    /// the room's events, so the log stands at `head` now, unless this shard is behind.
    pub(crate) fn open_room(&mut self, room: RoomId, name: RoomName, opening: Opening) {
        // Who has gone, or was told goodbye, hears of no room any more.
        if self.connection(opening.of).is_none_or(|connection| connection.phase != Phase::Open) {
            return;
        }
        let index = match self.room_keys.get(&room) {
            Some(&index) => index,
            None => {
                let index = self.rooms.insert(Room::new(room, name, opening.head));
                self.room_keys.insert(room, index);
                self.metrics.rooms_changed(1);
                index
            }
        };
        if self.rooms[index].head() < opening.head {
            let head = opening.head;
            self.rooms[index].openings.push(opening);
            self.fill(index, head);
        } else {
            self.place(index, opening);
            self.drop_if_deserted(index);
        }
    }

    /// Sets the connection's cursor in a room whose log has reached what it joined at.
    pub(super) fn place(&mut self, index: usize, opening: Opening) {
        let Some(connection) =
            self.connection(opening.of).filter(|connection| connection.phase == Phase::Open)
        else {
            return;
        };
        let (user, speaks) = (connection.user, connection.speaks);
        if connection.lines.as_ref().is_some_and(|lines| lines.joins != opening.line_join) {
            return;
        }
        if self.rooms[index].left_after(user, opening.head) {
            return self.not_placed(index, opening);
        }
        self.close_others(opening.of, index);
        let Some(connection) = self.connection(opening.of) else { return };
        let encoding = Encoding::from(speaks);
        let here = connection.membership(index).is_some();
        let goes_on = connection.membership(index).is_some_and(|membership| !membership.has_ended());
        let room = self.rooms[index].id;
        if !here && let Some(person) = self.beings.get(&user).map(|being| being.person(user)) {
            let now = self.now;
            self.outside.presence(|presence| presence.enter(room, person, now));
        }
        let (count, online): (u32, Vec<Person>) = self
            .outside
            .presence(|presence| (presence.count(room), presence.online(room, Limits::JOINED_ONLINE)));

        // A line client names no cursor: what it has read is where it was.
        let after = match speaks {
            Speaks::PlainText(_) if here => None,
            Speaks::PlainText(_) => opening.read.map(|read| read.seq),
            _ => opening.after,
        };
        let foreign =
            after.is_some() && opening.epoch.as_ref().is_some_and(|epoch| *epoch != self.settings.epoch);
        let reset = foreign || after.is_some_and(|after| after > opening.head);
        if reset {
            let epoch = self.settings.epoch.clone();
            self.say(opening.of, Reset { room, epoch }.into());
        }
        let name = self.rooms[index].name.clone();
        let joined = Joined {
            id: opening.id,
            room,
            name,
            head: opening.head,
            n: opening.n,
            read: opening.read,
            count,
            online,
        };
        self.say(opening.of, joined.into());

        // Came back to a room that is open: without `after` it goes on where it is. Whoever was removed meanwhile, and has heard
        // of it, begins anew.
        if goes_on && after.is_none() {
            self.stay(opening.of, index);
            return commands::resumed(self, opening.of, opening.resume);
        }
        let after = after.filter(|_| !reset).unwrap_or(opening.head);
        self.set_cursor(opening.of, index, encoding, after);
        if let Some(lines) = self.connection(opening.of).and_then(|connection| connection.lines.as_mut()) {
            // What the store knows, and not where the cursor is: a place that is new has to be kept, too.
            lines.read = Some((room, opening.read.map_or(Seq(0), |read| read.seq)));
        }
        commands::resumed(self, opening.of, opening.resume);
    }

    /// The person was removed after the store had answered, and before the log had come so far.
    fn not_placed(&mut self, index: usize, opening: Opening) {
        let refusal = Refusal::from(ErrorCode::NotAMember);
        let room = self.rooms[index].id;
        commands::not_opened(self, opening.of, room, (opening.id, opening.resume), refusal);
    }

    /// A line client hears one room at a time.
    fn close_others(&mut self, of: ConnKey, index: usize) {
        if self.connection(of).is_none_or(|connection| connection.lines.is_none()) {
            return;
        }
        self.keep_place(of);
        let other = |shard: &mut Self| {
            let mut open = shard.connection(of)?.memberships.iter().map(|membership| membership.room);
            open.find(|&room| room != index)
        };
        while let Some(room) = other(self) {
            self.close_room(of, room);
        }
    }

    /// Puts a connection's cursor behind `after`: in the log, or behind a catch-up, or behind a gap.
    fn set_cursor(&mut self, of: ConnKey, index: usize, encoding: Encoding, after: Seq) {
        let room = &mut self.rooms[index];
        let id = room.id;
        let log = room.log(encoding);
        let (cursor, missing) = match log.cursor_after(after) {
            Some(cursor) => (cursor, None),
            None => (log.tip(), Some((after, log.head()))),
        };
        room.lower_floor(encoding, cursor);
        let Some(connection) = self.connection(of) else { return };
        if connection.membership(index).is_none() {
            connection.memberships.push(Membership { room: index, cursor, special: None });
            self.rooms[index].members.push(of.index);
        }
        let Some(connection) = self.connection(of) else { return };
        if let Some(membership) = connection.membership(index) {
            membership.cursor = cursor;
            if let Some(special) = &mut membership.special {
                special.catch_up = None;
                special.end = None;
            }
        }
        self.stay(of, index);
        if let Some((after, until)) = missing {
            self.make_up(of, id, after, until);
        }
        self.queue_write(of.index);
    }

    /// The person is a member (again): an end that was set before does not hold, and a `leave` that waited for it is done.
    fn stay(&mut self, of: ConnKey, index: usize) {
        self.answer_leaves(of, index);
        let Some(membership) = self.connection(of).and_then(|connection| connection.membership(index)) else {
            return;
        };
        let Some(special) = &mut membership.special else { return };
        special.end = None;
        membership.tidy();
    }

    /// Nothing that there was before is to come any more.
    fn answer_leaves(&mut self, of: ConnKey, index: usize) {
        let membership = self.connection(of).and_then(|connection| connection.membership(index));
        let Some(special) = membership.and_then(|membership| membership.special.as_mut()) else { return };
        for (id, seq) in std::mem::take(&mut special.leaving) {
            self.say_ok(of, id, protocol::Outcome::Appended { seq });
        }
    }

    /// What lies behind `after` up to `until` is not in the log: it comes from the store, or is named as a gap.
    pub(super) fn make_up(&mut self, of: ConnKey, room: RoomId, after: Seq, until: Seq) {
        if until <= after {
            return;
        }
        if self.is_too_much(after, until) {
            return self.say_gap(of, room, after, until);
        }
        self.metrics.caught_up(1);
        let Some(&index) = self.room_keys.get(&room) else { return };
        if let Some(membership) = self.connection(of).and_then(|connection| connection.membership(index)) {
            membership.special().catch_up = Some(CatchUp { after, until, asked: false, postponed: false });
        }
        self.ask_for_page(of, room);
    }

    /// Whether so much was missed that it is named and not sent.
    pub(super) fn is_too_much(&self, after: Seq, until: Seq) -> bool {
        until.0.saturating_sub(after.0) > u64::from(self.settings.limits.catch_up_events)
    }

    pub(super) fn say_gap(&mut self, of: ConnKey, room: RoomId, after: Seq, until: Seq) {
        if sabotage::is(Sabotage::ForgetGap) {
            return;
        }
        self.metrics.gaps(1);
        self.say(of, Gap { room, from: after.next(), to: until }.into());
    }

    /// The room is closed for the connection; the person may well remain a member.
    pub(crate) fn close_room(&mut self, of: ConnKey, index: usize) {
        // Whoever is told goodbye before has no answer, comes back, and is told that it is no member.
        if self.connection(of).and_then(|it| it.membership(index)).is_some_and(|it| it.has_ended()) {
            self.answer_leaves(of, index);
        }
        let Some(connection) = self.connection(of) else { return };
        let user = connection.user;
        let Some(at) = connection.memberships.iter().position(|membership| membership.room == index) else {
            return;
        };
        connection.memberships.swap_remove(at);
        let room = &mut self.rooms[index];
        let id = room.id;
        if let Some(place) = room.members.iter().position(|&member| member == of.index) {
            room.members.swap_remove(place);
            if let Some(walk) = &mut room.walk {
                // Whoever stood last may have moved behind the walk's back.
                walk.again |= place < walk.next;
            }
        }
        // The room may have been why it was not read.
        self.read_again(of.index);
        let now = self.now;
        self.outside.presence(|presence| presence.leave(id, user, now));
        self.drop_if_deserted(index);
    }

    pub(super) fn drop_if_deserted(&mut self, index: usize) {
        if self.rooms.get(index).is_some_and(Room::is_deserted) {
            let room = self.rooms.remove(index);
            self.room_keys.remove(&room.id);
            for of in room.pages.into_values().flatten() {
                self.one_read_less(of);
            }
            self.to_walk.retain(|&queued| queued != index);
            self.metrics.rooms_changed(-1);
        }
    }

    /// An event of the writer. For a room that nobody here has open it is nothing.
    pub(super) fn handle_event(&mut self, committed: &Committed) {
        if let Some(&index) = self.room_keys.get(&committed.event.room) {
            self.append(index, &committed.event, Some(&committed.frame));
            // A word that came late may have brought what a reader was asked for, and did not find yet.
            self.place_all(index);
            // An end may have been all that waited for the room.
            self.drop_if_deserted(index);
        }
    }

    fn append(&mut self, index: usize, event: &protocol::Event, frame: Option<&[u8]>) {
        match self.rooms[index].append(self.now, event, frame) {
            Err(Hole { offered, .. }) => self.fill(index, offered),
            Ok(false) => {}
            Ok(true) => {
                match event.kind {
                    protocol::EventKind::MemberJoined { .. } => return self.queue_walk_later(index),
                    protocol::EventKind::MemberLeft {} => self.end_memberships(index, event),
                    _ => {}
                }
                if sabotage::is(Sabotage::LoseWakeUp) && event.seq.0.is_multiple_of(3) {
                    return;
                }
                self.queue_walk(index);
            }
        }
    }

    /// **Invariant:** the end is set while the event is appended, so nothing later can be written to whoever left
    /// (`a_member_who_left_hears_nothing_later`).
    fn end_memberships(&mut self, index: usize, event: &protocol::Event) {
        let user = event.by.id;
        let openings = std::mem::take(&mut self.rooms[index].openings);
        let (ended, waiting): (Vec<Opening>, Vec<Opening>) = openings.into_iter().partition(|opening| {
            let theirs = self.connection(opening.of).is_some_and(|connection| connection.user == user);
            theirs && opening.head < event.seq
        });
        self.rooms[index].openings = waiting;
        for opening in ended {
            self.not_placed(index, opening);
        }
        if sabotage::is(Sabotage::DeliverAfterRemoval) {
            return;
        }
        let Some(being) = self.beings.get(&event.by.id) else { return };
        for &of in &being.connections {
            let Some(connection) = self.connections.get_mut(of) else { continue };
            let encoding = Encoding::from(connection.speaks);
            let tip = self.rooms[index].log(encoding).tip();
            if let Some(membership) = connection.membership(index) {
                membership.special().end.get_or_insert(tip);
            }
        }
    }

    pub(super) fn handle_aside(&mut self, room: RoomId, frame: &[u8]) {
        if let Some(&index) = self.room_keys.get(&room) {
            let now = self.now;
            self.rooms[index].append_aside(now, frame);
            self.queue_walk(index);
        }
    }

    /// The log lacks events up to `wanted`: the store has them.
    pub(crate) fn fill(&mut self, index: usize, wanted: Seq) {
        let room = &mut self.rooms[index];
        let asked = room.wanted.is_some();
        room.wanted = room.wanted.max(Some(wanted));
        if !asked {
            self.ask_to_fill(index);
        }
    }

    fn ask_to_fill(&mut self, index: usize) {
        let room = &mut self.rooms[index];
        let query = Query::Fill { room: room.id, after: room.head() };
        if self.outside.read(query).is_err() {
            // No reader has time: the check of the next second finds the hole again.
            room.wanted = None;
        }
    }

    /// Events that the log lacked.
    pub(super) fn handle_filling(
        &mut self,
        room: RoomId,
        events: Result<Vec<protocol::Event>, protocol::ErrorCode>,
    ) {
        let Some(&index) = self.room_keys.get(&room) else { return };
        let Some(wanted) = self.rooms[index].wanted.take() else { return };
        let Ok(events) = events else { return };
        let progressed = !events.is_empty();
        for event in &events {
            if matches!(event.kind, protocol::EventKind::MemberLeft {}) && event.seq > self.rooms[index].head() {
                // Answers that were given before are still on their way.
                self.rooms[index].note_departure(event.by.id, event.seq);
            }
            self.append(index, event, None);
        }
        self.place_all(index);
        if self.rooms[index].head() < wanted && progressed {
            self.fill(index, wanted);
        }
        self.drop_if_deserted(index);
    }

    /// Those whose log has come as far as what they joined at.
    fn place_all(&mut self, index: usize) {
        let room = &mut self.rooms[index];
        if room.openings.is_empty() {
            return;
        }
        let head = room.head();
        let (ready, waiting): (Vec<Opening>, Vec<Opening>) =
            std::mem::take(&mut room.openings).into_iter().partition(|opening| opening.head <= head);
        room.openings = waiting;
        for opening in ready {
            self.place(index, opening);
        }
    }

    /// Where the store says that logs end. What was lacking a second ago too is asked for: younger events are on their way.
    /// A room that the store does not know any more went with its last member.
    pub(super) fn handle_heads(&mut self, heads: Vec<(RoomId, Option<Seq>)>) {
        for (room, head) in heads {
            let Some(&index) = self.room_keys.get(&room) else { continue };
            let Some(head) = head else {
                self.close_for_all(index);
                continue;
            };
            let room = &mut self.rooms[index];
            let lacking = room.head() < room.suspect;
            let suspect = room.suspect;
            room.suspect = head;
            if lacking {
                self.fill(index, suspect);
            }
        }
    }

    fn close_for_all(&mut self, index: usize) {
        for opening in std::mem::take(&mut self.rooms[index].openings) {
            self.not_placed(index, opening);
        }
        while let Some(&member) = self.rooms.get(index).and_then(|room| room.members.first()) {
            let Some(key) = self.connections.get(member).map(|connection| connection.key) else { break };
            // Nobody can read any more that, and how, they were removed: that they were is all that can be told.
            let room = Some(self.rooms[index].id);
            let Refusal { code, message } = Refusal::from(ErrorCode::RoomNotFound);
            self.say(key, ErrorFrame { room, ..ErrorFrame::new(None, code, message) }.into());
            self.answer_leaves(key, index);
            self.close_room(key, index);
        }
        self.drop_if_deserted(index);
    }

    /// The bus dropped words: whatever the live rooms lack is read from the store.
    pub(crate) fn handle_missed(&mut self, now: std::time::Duration) {
        self.now = now;
        let all: Vec<usize> = self.rooms.iter().map(|(index, _)| index).collect();
        for index in all {
            let next = self.rooms[index].head().next();
            self.fill(index, next);
        }
    }
}
