//! Opening a room for a connection, closing it again, and what its log is told.

use protocol::{CommandId, ErrorCode, ErrorFrame, Gap, Joined, Limits, Person, Reset, RoomId, Seq};
use room_log::SequenceGap;
use storage::CommandError;

use super::connection::{CatchUp, Phase, Subscription};
use super::pending::Origin;
use super::room::Room;
use super::{ConnKey, Query, Shard, ShardServices, Transport};
use crate::commit_batch::Committed;
use crate::encoding::Encoding;
use crate::fault_injection::{self, FaultInjection};
use crate::operations::Attach;

/// A room to open for a connection, once its log has come as far as the store's answer.
#[derive(Clone, Debug)]
pub(crate) struct PendingSubscription {
    pub(crate) of: ConnKey,
    pub(crate) id: Option<CommandId>,
    /// The number that the codec gave to the join.
    pub(crate) join: u32,
    pub(crate) attach: Attach,
}

impl<L: Transport, O: ShardServices> Shard<L, O> {
    /// Opens a room that the store has said this connection's person is a member of. The answer came in its place among
    /// the room's events, so the log stands at `head` now, unless this shard is behind.
    pub(crate) fn open_room(&mut self, pending_subscription: PendingSubscription) {
        // Who has gone, or was told goodbye, hears of no room any more.
        if self.connection(pending_subscription.of).is_none_or(|connection| connection.phase != Phase::Open) {
            return;
        }
        let Attach { room, head, .. } = pending_subscription.attach;
        let index = match self.rooms.index_of(room) {
            Some(index) => index,
            None => {
                let name = pending_subscription.attach.name.clone();
                let index = self.rooms.insert(Room::new(room, name, head));
                self.metrics.rooms_changed(1);
                index
            }
        };
        if self.rooms[index].head() < head {
            self.rooms[index].openings.push(pending_subscription);
            self.backfill(index, head);
        } else {
            self.attach(index, pending_subscription);
            self.drop_if_deserted(index);
        }
    }

    /// Sets the connection's cursor in a room whose log has reached what it joined at.
    pub(super) fn attach(&mut self, index: usize, pending_subscription: PendingSubscription) {
        let Some(connection) =
            self.connection(pending_subscription.of).filter(|connection| connection.phase == Phase::Open)
        else {
            return;
        };
        let user = connection.user;
        if !connection.codec.is_current_join(pending_subscription.join) {
            return;
        }
        if self.rooms[index].left_after(user, pending_subscription.attach.head) {
            return self.not_placed(index, pending_subscription);
        }
        let PendingSubscription {
            of,
            id,
            attach: Attach { topic, head, n, read, after, epoch, resume, .. },
            ..
        } = pending_subscription;
        // A room of a `resume` is not the answer to the command.
        let (id, resume_id) = if resume.is_some() { (None, id) } else { (id, None) };
        self.close_others(of, index);
        let Some(connection) = self.connection(of) else { return };
        let encoding = connection.encoding;
        let here = connection.subscription(index).is_some();
        let goes_on = connection.subscription(index).is_some_and(|subscription| !subscription.has_ended());
        let room = self.rooms[index].id;
        if !here && let Some(person) = self.users.get(&user).map(|user_state| user_state.person(user)) {
            let now = self.now;
            self.services.presence(|presence| presence.enter(room, person, now));
        }
        let (count, online): (u32, Vec<Person>) = self
            .services
            .presence(|presence| (presence.count(room), presence.online(room, Limits::JOINED_ONLINE)));

        let Some(connection) = self.connection(of) else { return };
        let after = connection.codec.start_after(here, after, read);
        let foreign = after.is_some() && epoch.is_some_and(|epoch| epoch != self.settings.epoch);
        let reset = foreign || after.is_some_and(|after| after > head);
        if reset {
            let epoch = self.settings.epoch.clone();
            self.send_frame(of, Reset { room, epoch }.into());
        }
        let name = self.rooms[index].name.clone();
        self.send_frame(of, Joined { id, room, name, topic, head, n, read, count, online }.into());

        // The room is open already: without `after` it continues where it is. A user who was removed meanwhile, and has
        // received that, begins again.
        if goes_on && after.is_none() {
            self.cancel_end(of, index);
        } else {
            let after = after.filter(|_| !reset).unwrap_or(head);
            self.set_cursor(of, index, encoding, after);
            if let Some(connection) = self.connection(of) {
                // What the store has, and not where the cursor is: a new position has to be stored, too.
                connection.codec.set_stored_position(room, read.map_or(Seq(0), |read| read.seq));
            }
        }
        if let Some(effect) = resume.and_then(|progress| progress.room_opened()) {
            self.apply(Origin { of, id: resume_id, user, row: None, registers: None }, vec![effect]);
        }
    }

    /// The person was removed after the store had answered, and before the log had come so far.
    fn not_placed(&mut self, index: usize, pending_subscription: PendingSubscription) {
        let error = CommandError::from(ErrorCode::NotAMember);
        let room = self.rooms[index].id;
        let PendingSubscription { of, id, attach, .. } = pending_subscription;
        match attach.resume {
            None => self.send_error(of, id, error),
            Some(progress) => {
                let Some(user) = self.connection(of).map(|connection| connection.user) else { return };
                let effects = progress.room_refused(room, error);
                self.apply(Origin { of, id, user, row: None, registers: None }, effects);
            }
        }
    }

    /// Some clients have one room open at a time.
    fn close_others(&mut self, of: ConnKey, index: usize) {
        if self.connection(of).is_none_or(|connection| !connection.codec.has_one_room()) {
            return;
        }
        self.persist_read_position(of);
        let other = |shard: &mut Self| {
            let mut open = shard.connection(of)?.subscriptions.iter().map(|subscription| subscription.room);
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
        if connection.subscription(index).is_none() {
            connection.subscriptions.push(Subscription { room: index, cursor, special: None });
            self.rooms[index].members.push(of.index);
        }
        let Some(connection) = self.connection(of) else { return };
        if let Some(subscription) = connection.subscription(index) {
            subscription.cursor = cursor;
            if let Some(special) = &mut subscription.special {
                special.catch_up = None;
                special.end = None;
            }
        }
        self.cancel_end(of, index);
        if let Some((after, until)) = missing {
            self.start_catch_up(of, id, after, until);
        }
        self.queue_write(of.index);
    }

    /// The person is a member (again): an end that was set before does not hold, and a `leave` that waited for it is done.
    fn cancel_end(&mut self, of: ConnKey, index: usize) {
        self.answer_leaves(of, index);
        let Some(subscription) = self.connection(of).and_then(|connection| connection.subscription(index))
        else {
            return;
        };
        let Some(special) = &mut subscription.special else { return };
        special.end = None;
        subscription.compact();
    }

    /// Nothing that there was before is to come any more.
    fn answer_leaves(&mut self, of: ConnKey, index: usize) {
        let subscription = self.connection(of).and_then(|connection| connection.subscription(index));
        let Some(special) = subscription.and_then(|subscription| subscription.special.as_mut()) else {
            return;
        };
        for (id, seq) in std::mem::take(&mut special.leaving) {
            self.send_ok(of, id, protocol::CommandResult::Appended { seq });
        }
    }

    /// What lies behind `after` up to `until` is not in the log: it comes from the store, or is named as a gap.
    pub(super) fn start_catch_up(&mut self, of: ConnKey, room: RoomId, after: Seq, until: Seq) {
        if until <= after {
            return;
        }
        if self.is_too_much(after, until) {
            return self.send_gap(of, room, after, until);
        }
        self.metrics.caught_up(1);
        let Some(index) = self.rooms.index_of(room) else { return };
        if let Some(subscription) = self.connection(of).and_then(|connection| connection.subscription(index))
        {
            subscription.special().catch_up = Some(CatchUp { after, until, asked: false, postponed: false });
        }
        self.ask_for_page(of, room);
    }

    /// Whether so much was missed that it is named and not sent.
    pub(super) fn is_too_much(&self, after: Seq, until: Seq) -> bool {
        until.0.saturating_sub(after.0) > u64::from(self.settings.limits.catch_up_events)
    }

    pub(super) fn send_gap(&mut self, of: ConnKey, room: RoomId, after: Seq, until: Seq) {
        if fault_injection::is(FaultInjection::ForgetGap) {
            return;
        }
        self.metrics.gaps(1);
        self.send_frame(of, Gap { room, from: after.next(), to: until }.into());
    }

    /// The room is closed for the connection; the person may well remain a member.
    pub(crate) fn close_room(&mut self, of: ConnKey, index: usize) {
        // Whoever is told goodbye before has no answer, comes back, and is told that it is no member.
        if self.connection(of).and_then(|it| it.subscription(index)).is_some_and(|it| it.has_ended()) {
            self.answer_leaves(of, index);
        }
        let Some(connection) = self.connection(of) else { return };
        let user = connection.user;
        let Some(at) = connection.subscriptions.iter().position(|subscription| subscription.room == index)
        else {
            return;
        };
        connection.subscriptions.swap_remove(at);
        let room = &mut self.rooms[index];
        let id = room.id;
        if let Some(attach) = room.members.iter().position(|&member| member == of.index) {
            room.members.swap_remove(attach);
            if let Some(fanout) = &mut room.fanout {
                // Whoever stood last may have moved behind the walk's back.
                fanout.again |= attach < fanout.next;
            }
        }
        // The room may have been why it was not read.
        self.read_again(of.index);
        let now = self.now;
        self.services.presence(|presence| presence.leave(id, user, now));
        self.drop_if_deserted(index);
    }

    pub(super) fn drop_if_deserted(&mut self, index: usize) {
        if self.rooms.get(index).is_some_and(Room::is_deserted) {
            let room = self.rooms.remove(index);
            for of in room.pages.into_values().flatten() {
                self.one_read_less(of);
            }
            self.scheduler.remove_fanout(index);
            self.metrics.rooms_changed(-1);
        }
    }

    /// An event of the writer. For a room that nobody here has open it is nothing.
    pub(super) fn handle_event(&mut self, committed: &Committed) {
        if let Some(index) = self.rooms.index_of(committed.event.room) {
            self.append(index, &committed.event, Some(&committed.frame));
            // A word that came late may have brought what a reader was asked for, and did not find yet.
            self.attach_all(index);
            // An end may have been all that waited for the room.
            self.drop_if_deserted(index);
        }
    }

    fn append(&mut self, index: usize, event: &protocol::Event, frame: Option<&[u8]>) {
        match self.rooms[index].append(self.now, event, frame) {
            Err(SequenceGap { offered, .. }) => self.backfill(index, offered),
            Ok(false) => {}
            Ok(true) => {
                match event.kind {
                    protocol::EventKind::MemberJoined { .. } => return self.queue_walk_later(index),
                    protocol::EventKind::MemberLeft {} => self.end_memberships(index, event),
                    _ => {}
                }
                if fault_injection::is(FaultInjection::LoseWakeUp) && event.seq.0.is_multiple_of(3) {
                    return;
                }
                self.queue_walk(index);
            }
        }
    }

    /// **Invariant:** the end is set while the event is appended, so nothing later can be written to whoever left
    /// (`removed_member_receives_nothing_later`).
    fn end_memberships(&mut self, index: usize, event: &protocol::Event) {
        let user = event.by.id;
        let openings = std::mem::take(&mut self.rooms[index].openings);
        let (ended, waiting): (Vec<PendingSubscription>, Vec<PendingSubscription>) =
            openings.into_iter().partition(|pending_subscription| {
                let theirs = self
                    .connection(pending_subscription.of)
                    .is_some_and(|connection| connection.user == user);
                theirs && pending_subscription.attach.head < event.seq
            });
        self.rooms[index].openings = waiting;
        for pending_subscription in ended {
            self.not_placed(index, pending_subscription);
        }
        if fault_injection::is(FaultInjection::DeliverAfterRemoval) {
            return;
        }
        let Some(user_state) = self.users.get(&event.by.id) else { return };
        for &of in &user_state.connections {
            let Some(connection) = self.connections.get_mut(of) else { continue };
            let encoding = connection.encoding;
            let tip = self.rooms[index].log(encoding).tip();
            if let Some(subscription) = connection.subscription(index) {
                subscription.special().end.get_or_insert(tip);
            }
        }
    }

    pub(super) fn handle_ephemeral(&mut self, room: RoomId, frame: &[u8]) {
        if let Some(index) = self.rooms.index_of(room) {
            let now = self.now;
            self.rooms[index].append_aside(now, frame);
            self.queue_walk(index);
        }
    }

    /// The log lacks events up to `backfill_target`: the store has them.
    pub(crate) fn backfill(&mut self, index: usize, backfill_target: Seq) {
        let room = &mut self.rooms[index];
        let asked = room.backfill_target.is_some();
        room.backfill_target = room.backfill_target.max(Some(backfill_target));
        if !asked {
            self.ask_to_fill(index);
        }
    }

    fn ask_to_fill(&mut self, index: usize) {
        let room = &mut self.rooms[index];
        let query = Query::Fill { room: room.id, after: room.head() };
        if self.services.read(query).is_err() {
            // No reader has time: the check of the next second finds the hole again.
            room.backfill_target = None;
        }
    }

    /// Events that the log lacked.
    pub(super) fn handle_filling(
        &mut self,
        room: RoomId,
        events: Result<Vec<protocol::Event>, protocol::ErrorCode>,
    ) {
        let Some(index) = self.rooms.index_of(room) else { return };
        let Some(backfill_target) = self.rooms[index].backfill_target.take() else { return };
        let Ok(events) = events else { return };
        let progressed = !events.is_empty();
        for event in &events {
            if matches!(event.kind, protocol::EventKind::MemberLeft {})
                && event.seq > self.rooms[index].head()
            {
                // Answers that were given before are still on their way.
                self.rooms[index].note_departure(event.by.id, event.seq);
            }
            self.append(index, event, None);
        }
        self.attach_all(index);
        if self.rooms[index].head() < backfill_target && progressed {
            self.backfill(index, backfill_target);
        }
        self.drop_if_deserted(index);
    }

    /// Those whose log has come as far as what they joined at.
    fn attach_all(&mut self, index: usize) {
        let room = &mut self.rooms[index];
        if room.openings.is_empty() {
            return;
        }
        let head = room.head();
        let (ready, waiting): (Vec<PendingSubscription>, Vec<PendingSubscription>) =
            std::mem::take(&mut room.openings)
                .into_iter()
                .partition(|pending_subscription| pending_subscription.attach.head <= head);
        room.openings = waiting;
        for pending_subscription in ready {
            self.attach(index, pending_subscription);
        }
    }

    /// Where the store says that logs end. What was lacking a second ago too is asked for: younger events are on their way.
    /// A room that the store does not know any more went with its last member.
    pub(super) fn handle_heads(&mut self, heads: Vec<(RoomId, Option<Seq>)>) {
        for (room, head) in heads {
            let Some(index) = self.rooms.index_of(room) else { continue };
            let Some(head) = head else {
                self.close_for_all(index);
                continue;
            };
            let room = &mut self.rooms[index];
            let lacking = room.head() < room.store_head;
            let store_head = room.store_head;
            room.store_head = head;
            if lacking {
                self.backfill(index, store_head);
            }
        }
    }

    fn close_for_all(&mut self, index: usize) {
        for pending_subscription in std::mem::take(&mut self.rooms[index].openings) {
            self.not_placed(index, pending_subscription);
        }
        while let Some(&member) = self.rooms.get(index).and_then(|room| room.members.first()) {
            let Some(key) = self.connections.get(member).map(|connection| connection.key) else { break };
            // Nobody can read any more that, and how, they were removed: that they were is all that can be told.
            let room = Some(self.rooms[index].id);
            let CommandError { code, message } = CommandError::from(ErrorCode::RoomNotFound);
            self.send_frame(key, ErrorFrame { room, ..ErrorFrame::new(None, code, message) }.into());
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
            self.backfill(index, next);
        }
    }
}
