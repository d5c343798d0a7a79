//! Attaching connections to rooms, and detaching them.

use domain::CommandError;
use protocol::{ErrorCode, Joined, Limits, Reset, Seq, User};

use super::connection::{Phase, Subscription};
use super::pending::EffectOrigin;
use super::pending_subscription::PendingSubscription;
use super::room::Room;
use super::{ConnKey, Shard, ShardServices, Transport};
use crate::encoding::Encoding;
use crate::operations::{self, Attach};

impl<T: Transport, S: ShardServices> Shard<T, S> {
    /// Opens a room for a connection whose user is a member in the store. The reply arrives in its position among the room's
    /// events, so the log is at `head`, unless this shard is missing events.
    pub(crate) fn subscribe(&mut self, pending_subscription: PendingSubscription) {
        // A connection that is closing receives no further frames of rooms.
        if self.connection(pending_subscription.key).is_none_or(|connection| connection.phase != Phase::Open)
        {
            return;
        }
        let Attach { ref info, head, .. } = pending_subscription.attach;
        let room = info.room;
        let index = match self.rooms.index_of(room) {
            Some(index) => index,
            None => {
                let name = info.name.clone();
                let index = self.rooms.insert(Room::new(room, name, head));
                self.metrics.rooms_changed(1);
                index
            }
        };
        if self.rooms[index].head() < head {
            self.rooms[index].pending_subscriptions.push(pending_subscription);
            self.backfill(index, head);
        } else {
            self.attach(index, pending_subscription);
            self.remove_if_unused(index);
        }
    }

    /// Attaches a connection to a room whose log has reached the head of the join.
    pub(super) fn attach(&mut self, index: usize, pending_subscription: PendingSubscription) {
        let Some(connection) =
            self.connection(pending_subscription.key).filter(|connection| connection.phase == Phase::Open)
        else {
            return;
        };
        let user = connection.user;
        if !connection.codec.is_current_join(pending_subscription.join) {
            return;
        }
        if self.rooms[index].was_removed_after(user, pending_subscription.attach.head) {
            return self.reject_subscription(index, pending_subscription);
        }
        let PendingSubscription {
            key,
            id,
            attach: Attach { info, head, n, read, after, epoch, resume, .. },
            ..
        } = pending_subscription;
        // In a `resume`, a `joined` frame is not the reply to the command.
        let (id, resume_id) = if resume.is_some() { (None, id) } else { (id, None) };
        self.detach_other_rooms(key, index);
        let Some(connection) = self.connection(key) else { return };
        let encoding = connection.encoding;
        let is_attached = connection.subscription(index).is_some();
        let continues = connection.subscription(index).is_some_and(|subscription| !subscription.has_ended());
        let room = self.rooms[index].id;
        if !is_attached
            && let Some(user) = self.connections.user(user).map(|user_state| user_state.user(user))
        {
            let now = self.now;
            self.services.presence(|presence| presence.enter(room, user, now));
        }
        let (count, online): (u32, Vec<User>) = self
            .services
            .presence(|presence| (presence.count(room), presence.online(room, Limits::JOINED_ONLINE)));

        let Some(connection) = self.connection(key) else { return };
        let after = connection.codec.start_after(is_attached, after, read);
        let is_other_epoch = after.is_some() && epoch.is_some_and(|epoch| epoch != self.epoch);
        let reset = is_other_epoch || after.is_some_and(|after| after > head);
        if reset {
            let epoch = self.epoch.clone();
            self.send_frame(key, Reset { room, epoch }.into());
        }
        self.send_frame(key, Joined { id, info, head, n, read, count, online }.into());

        // If the room is open already, delivery continues at the current cursor unless `after` names another one. After the
        // end of a removed membership, it starts again at the head.
        if continues && after.is_none() {
            self.cancel_end(key, index);
        } else {
            let after = after.filter(|_| !reset).unwrap_or(head);
            self.set_cursor(key, index, encoding, after);
            if let Some(connection) = self.connection(key) {
                // The stored position and not the cursor, so that the cursor is stored later if it differs.
                connection.codec.set_stored_position(room, read.map_or(Seq(0), |read| read.seq));
            }
        }
        if let Some(effect) = resume.and_then(|progress| operations::room_opened(&progress)) {
            self.apply(EffectOrigin { key, id: resume_id, user, row: None, registers: None }, vec![effect]);
        }
    }

    /// Rejects a granted join whose user was removed before the log reached the head of the join.
    pub(super) fn reject_subscription(&mut self, index: usize, pending_subscription: PendingSubscription) {
        let error = CommandError::from(ErrorCode::NotAMember);
        let room = self.rooms[index].id;
        let PendingSubscription { key, id, attach, .. } = pending_subscription;
        match attach.resume {
            None => self.send_error(key, id, error),
            Some(progress) => {
                let Some(user) = self.connection(key).map(|connection| connection.user) else { return };
                let effects = operations::room_rejected(&progress, room, error);
                self.apply(EffectOrigin { key, id, user, row: None, registers: None }, effects);
            }
        }
    }

    /// Detaches a connection from its other rooms, if its codec has one room open at a time.
    fn detach_other_rooms(&mut self, key: ConnKey, index: usize) {
        if self.connection(key).is_none_or(|connection| !connection.codec.has_one_room()) {
            return;
        }
        self.persist_read_position(key);
        let other = |shard: &mut Self| {
            let mut open = shard.connection(key)?.subscriptions.iter().map(|subscription| subscription.room);
            open.find(|&room| room != index)
        };
        while let Some(room) = other(self) {
            self.detach(key, room);
        }
    }

    /// Sets a connection's cursor after `after`: in the log, or at its tip after a catch-up or a gap.
    fn set_cursor(&mut self, key: ConnKey, index: usize, encoding: Encoding, after: Seq) {
        let room = &mut self.rooms[index];
        let id = room.id;
        let log = room.log(encoding);
        let (cursor, missing) = match log.cursor_after(after) {
            Some(cursor) => (cursor, None),
            None => (log.tip(), Some((after, log.head()))),
        };
        room.include_cursor(encoding, cursor);
        let Some(connection) = self.connection(key) else { return };
        if connection.subscription(index).is_none() {
            connection.subscriptions.push(Subscription { room: index, cursor, rare_state: None });
            self.rooms[index].members.push(key.index);
        }
        let Some(connection) = self.connection(key) else { return };
        if let Some(subscription) = connection.subscription(index) {
            subscription.cursor = cursor;
            if let Some(rare_state) = &mut subscription.rare_state {
                rare_state.catch_up = None;
                rare_state.end = None;
            }
        }
        self.cancel_end(key, index);
        if let Some((after, until)) = missing {
            self.start_catch_up(key, id, after, until);
        }
        self.queue_write(key.index);
    }

    /// Cancels the end of a membership, because the user has joined again, and answers the `leave` commands that waited for it.
    fn cancel_end(&mut self, key: ConnKey, index: usize) {
        self.answer_leaves(key, index);
        let Some(subscription) = self.connection(key).and_then(|connection| connection.subscription(index))
        else {
            return;
        };
        let Some(rare_state) = &mut subscription.rare_state else { return };
        rare_state.end = None;
        subscription.compact();
    }

    /// Answers the `leave` commands that waited for the end: no event before it is undelivered.
    pub(super) fn answer_leaves(&mut self, key: ConnKey, index: usize) {
        let subscription = self.connection(key).and_then(|connection| connection.subscription(index));
        let Some(rare_state) = subscription.and_then(|subscription| subscription.rare_state.as_mut()) else {
            return;
        };
        for (id, reply) in std::mem::take(&mut rare_state.pending_leaves) {
            self.send_ok(key, id, reply);
        }
    }

    /// Detaches a connection from a room. The membership of its user is not affected.
    pub(crate) fn detach(&mut self, key: ConnKey, index: usize) {
        // Without its end, the `leave` stays unanswered; the client repeats it and receives `not_a_member`.
        let subscription = self.connection(key).and_then(|connection| connection.subscription(index));
        if subscription.is_some_and(|subscription| subscription.has_ended()) {
            self.answer_leaves(key, index);
        }
        let Some(connection) = self.connection(key) else { return };
        let user = connection.user;
        let Some(at) = connection.subscriptions.iter().position(|subscription| subscription.room == index)
        else {
            return;
        };
        connection.subscriptions.swap_remove(at);
        let room = &mut self.rooms[index];
        let id = room.id;
        if let Some(position) = room.members.iter().position(|&member| member == key.index) {
            room.members.swap_remove(position);
            if let Some(fanout) = &mut room.fanout {
                // The last member has moved to this index, which the fan-out may have passed.
                fanout.again |= position < fanout.next;
            }
        }
        // The room may have paused reading.
        self.resume_reading(key.index);
        let now = self.now;
        self.services.presence(|presence| presence.leave(id, user, now));
        self.remove_if_unused(index);
    }

    pub(super) fn remove_if_unused(&mut self, index: usize) {
        if self.rooms.get(index).is_some_and(Room::is_unused) {
            let room = self.rooms.remove(index);
            for key in room.pages.into_values().flatten() {
                self.finish_store_read(key);
            }
            self.scheduler.remove_fanout(index);
            self.metrics.rooms_changed(-1);
        }
    }
}
