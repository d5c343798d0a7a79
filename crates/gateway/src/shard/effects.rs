//! Applying effects: the one place where what an operation returns changes the shard.

use std::time::Duration;

use domain::{Actor, CommandError, Operation, RateClass};
use protocol::{ErrorCode, ErrorFrame, OkFrame, Reply, RoomId, RoomRef, Seq, UserId, UserName};

use super::connection::Subscription;
use super::pending::{EffectOrigin, Pending};
use super::pending_subscription::PendingSubscription;
use super::room_table::RoomTable;
use super::{ConnKey, Connection, Query, Room, Shard, ShardServices, Transport};
use crate::codec::Decoded;
use crate::commit_batch::WriteReply;
use crate::encoding::json_frame;
use crate::operations::{
    self, Attach, ClientRequest, HandlerEffect, OnReply, OpenRooms, PresenceReply, ReadOperation, View,
};

/// The `retry_after_ms` of a connection at its limit of store reads, each of which takes a few milliseconds.
const READ_RETRY_DELAY: Duration = Duration::from_millis(100);

/// The rooms that a connection has open, for the view of an operation handler.
struct ConnectionRooms<'a> {
    subscriptions: &'a [Subscription],
    rooms: &'a RoomTable,
}

impl OpenRooms for ConnectionRooms<'_> {
    fn find(&self, room: &RoomRef) -> Option<RoomId> {
        let key = match room {
            RoomRef::Id(_) => None,
            RoomRef::Name(name) => Some(name.key()),
        };
        let named = |open: &&Room| match (room, &key) {
            (RoomRef::Id(id), _) => open.id == *id,
            (_, Some(key)) => open.name.key() == *key,
            _ => false,
        };
        // A removed user is not a member, even while earlier events are undelivered.
        let members = self.subscriptions.iter().filter(|subscription| subscription.end().is_none());
        members.map(|subscription| &self.rooms[subscription.room]).find(named).map(|room| room.id)
    }
}

impl<T: Transport, S: ShardServices> Shard<T, S> {
    pub(super) fn handle_decoded(&mut self, key: ConnKey, decoded: Vec<Decoded>) {
        for decoded in decoded {
            match decoded {
                Decoded::Request { id, request } => self.handle_request(key, id, request),
                Decoded::Error { id, error } => self.send_error(key, id, error),
                Decoded::RateLimited { id, wait } => self.send_rate_limited(key, id, wait),
                Decoded::Frames(frames) => self.send_bytes(key, &frames),
            }
        }
    }

    fn handle_request(&mut self, key: ConnKey, id: Option<protocol::CommandId>, request: ClientRequest) {
        let Some(user) = self.connection(key).map(|connection| connection.user) else { return };
        let Some(user_state) = self.connections.user_mut(user) else { return };
        let additional = operations::additional_rate_class(&request);
        let additional_token =
            additional.map(|class| user_state.buckets.take(class, self.now, &self.settings.rates));
        let Some(connection) = self.connections.get(key.index) else { return };
        let Some(user_state) = self.connections.user(user) else { return };
        let rooms = ConnectionRooms { subscriptions: &connection.subscriptions, rooms: &self.rooms };
        let view = View { user, name: &user_state.name, additional_token, rooms: &rooms };
        let row = Some(request.row());
        let effects = operations::handle(&view, request);
        self.apply(EffectOrigin { key, id, user, row, registers: None }, effects);
    }

    pub(super) fn apply(&mut self, origin: EffectOrigin, effects: Vec<HandlerEffect>) {
        let EffectOrigin { key, id, user, row, registers } = origin;
        for effect in effects {
            match effect {
                HandlerEffect::Reply(reply) | HandlerEffect::Repeated(reply) => self.send_ok(key, id, reply),
                HandlerEffect::ReplyAlways(reply) => self.send_frame(key, OkFrame::new(id, reply).into()),
                HandlerEffect::ReplyFromPresence(PresenceReply(reply)) => {
                    let reply = self.services.presence(reply);
                    self.send_ok(key, id, reply);
                }
                HandlerEffect::ReplyAfter { room, seq, reply } => self.reply_after(origin, room, seq, reply),
                HandlerEffect::Frame(frame) => self.send_shared(key, frame),
                HandlerEffect::Error(error) => {
                    debug_assert!(
                        row.is_none_or(|row| row.may_return_over_websocket(error.code)),
                        "{row:?} returned {}",
                        error.code
                    );
                    self.send_error(key, id, error);
                }
                HandlerEffect::RoomError { room, error: CommandError { code, message } } => {
                    self.metrics.error(code);
                    let frame = ErrorFrame { room: Some(room), ..ErrorFrame::new(None, code, message) };
                    self.send_frame(key, frame.into());
                }
                HandlerEffect::RateLimited(wait) => self.send_rate_limited(key, id, wait),
                HandlerEffect::Refund(class) => self.refund(user, class),
                HandlerEffect::Write { operation, on_reply } => {
                    self.submit_write(origin, operation, on_reply)
                }
                HandlerEffect::Read(operation) => self.submit_read(origin, operation),
                HandlerEffect::Attach(attach) => self.grant(origin, attach),
                HandlerEffect::JoinRejected => self.reject_join(key),
                HandlerEffect::Ephemeral { room, frame } => {
                    self.services.publish_ephemeral(room, json_frame(&frame).into());
                }
                HandlerEffect::SetName(name) => self.set_name(user, name),
                HandlerEffect::UserStored => {
                    if let Some(user_state) = self.connections.user_mut(user) {
                        user_state.stored = true;
                    }
                    if let Some(session) = registers {
                        self.services.session_stored(&session);
                    }
                }
                HandlerEffect::UserPerhapsStored => {
                    if let Some(user_state) = self.connections.user_mut(user) {
                        user_state.perhaps_stored = true;
                    }
                }
                HandlerEffect::RetryDeparture(actor) => self.departures.fail(actor),
            }
        }
    }

    /// Submits to the writer on behalf of a connection. If the writer does not accept the request, it is answered here.
    fn submit_write(
        &mut self,
        EffectOrigin { key, id, row, .. }: EffectOrigin,
        operation: Operation,
        on_reply: Box<dyn OnReply>,
    ) {
        let Some(user) = self.connection(key).map(|connection| connection.user) else { return };
        let Some(actor) = self.connections.user(user).map(|user_state| user_state.actor(user)) else {
            return;
        };
        let registers = actor.registration.and_then(|registration| registration.token);
        let origin = EffectOrigin { key, id, user, row, registers };
        match self.services.write(actor, operation, self.pending.next_id()) {
            Ok(()) => {
                self.pending.insert(Pending { origin, on_reply });
                if let Some(connection) = self.connection(key) {
                    connection.unanswered = connection.unanswered.saturating_add(1);
                }
            }
            Err(code) => {
                if code == ErrorCode::Overloaded {
                    self.throttle(key);
                }
                self.apply(origin, on_reply.failed(CommandError::from(code)));
            }
        }
    }

    /// Submits a write that no connection waits for. `false`: the writer is not available now.
    pub(super) fn submit_background_write(
        &mut self,
        actor: Actor,
        on_reply: Box<dyn OnReply>,
        operation: Operation,
    ) -> bool {
        let key = ConnKey { index: usize::MAX, generation: 0 };
        let origin = EffectOrigin { key, id: None, user: actor.user.id, row: None, registers: None };
        let submitted = self.services.write(actor, operation, self.pending.next_id()).is_ok();
        if submitted {
            self.pending.insert(Pending { origin, on_reply });
        }
        submitted
    }

    /// Submits to a reader, unless too many reads are in progress for the connection, each of which may return a quarter of a
    /// megabyte.
    fn submit_read(&mut self, origin: EffectOrigin, operation: Box<dyn ReadOperation>) {
        let EffectOrigin { key, id, .. } = origin;
        let Some(connection) = self.connection(key) else { return };
        if connection.store_reads >= Connection::<T>::MAX_STORE_READS {
            return self.send_rate_limited(key, id, READ_RETRY_DELAY);
        }
        let encoding = connection.codec.encoding();
        if self.outboxes_are_full() {
            return self.send_error_code(key, id, ErrorCode::Overloaded);
        }
        match self.services.read(Query::Operation { origin, encoding, operation }) {
            Ok(()) => {
                if let Some(connection) = self.connection(key) {
                    connection.store_reads += 1;
                }
            }
            Err(code) => self.send_error_code(key, id, code),
        }
    }

    /// Applies the effects of a read, unless the connection has ended.
    pub(super) fn handle_read_done(&mut self, origin: EffectOrigin, effects: Vec<HandlerEffect>) {
        self.finish_store_read(origin.key);
        if self.connection(origin.key).is_some() {
            self.apply(origin, effects);
        }
    }

    /// Releases the slot of a store read, which a catch-up may be waiting for.
    pub(super) fn finish_store_read(&mut self, key: ConnKey) {
        if let Some(connection) = self.connection(key) {
            connection.store_reads = connection.store_reads.saturating_sub(1);
            self.queue_write(key.index);
        }
    }

    pub(super) fn handle_reply(&mut self, reply: WriteReply) {
        let Some(Pending { origin, on_reply }) = self.pending.take(reply.request_id) else { return };
        if let Some(connection) = self.connection(origin.key) {
            connection.unanswered = connection.unanswered.saturating_sub(1);
            // The connection may have been paused at the limit of unanswered commands.
            self.queue_read(origin.key.index);
        }
        let effects = match reply.result {
            Ok(result) => on_reply.done(result),
            Err(error) => on_reply.failed(error),
        };
        self.apply(origin, effects);
    }

    fn grant(&mut self, EffectOrigin { key, id, .. }: EffectOrigin, attach: Attach) {
        let room = attach.info.room;
        let join = self.connection(key).map_or(0, |connection| connection.codec.join_granted(room));
        self.subscribe(PendingSubscription { key, id, join, attach });
    }

    fn reject_join(&mut self, key: ConnKey) {
        let Some(connection) = self.connections.get_mut(key.index).filter(|connection| connection.key == key)
        else {
            return;
        };
        let open = connection.subscriptions.first().map(|subscription| self.rooms[subscription.room].id);
        connection.codec.join_rejected(open);
    }

    /// The membership has ended in the store. Earlier events may still be undelivered to this connection; they precede the `ok`.
    fn reply_after(
        &mut self,
        EffectOrigin { key, id, .. }: EffectOrigin,
        room: RoomId,
        seq: Seq,
        reply: Reply,
    ) {
        let index = self.rooms.index_of(room);
        let Some((index, subscription)) =
            index.and_then(|index| Some((index, self.connection(key)?.subscription(index)?)))
        else {
            // The connection does not have the room open, so no event precedes the reply.
            return self.send_ok(key, id, reply);
        };
        let is_missing_events = subscription.end().is_none();
        subscription.rare_state().pending_leaves.push((id, reply));
        if is_missing_events {
            // The bus has dropped the event, and perhaps earlier ones: they are backfilled from the store.
            self.backfill(index, seq);
        }
        self.queue_write(key.index);
    }

    /// Changes the name of a user on all its connections and in presence.
    pub(super) fn set_name(&mut self, user: UserId, name: UserName) {
        let Some(user_state) = self.connections.user_mut(user) else { return };
        user_state.name = name.clone();
        let mut rooms = Vec::new();
        self.connections.for_each_of(user, |connection| {
            rooms
                .extend(connection.subscriptions.iter().map(|subscription| self.rooms[subscription.room].id));
        });
        self.services.presence(|presence| presence.renamed(user, &name, rooms));
    }

    fn refund(&mut self, user: UserId, class: RateClass) {
        if let Some(user_state) = self.connections.user_mut(user) {
            user_state.buckets.refund(class, &self.settings.rates);
        }
    }

    /// Backpressure: a connection whose command was rejected as `overloaded` is not read until the next tick.
    fn throttle(&mut self, key: ConnKey) {
        let Some(connection) = self.connection(key) else { return };
        if !std::mem::replace(&mut connection.flags.throttled, true) {
            self.throttled.push(key);
        }
    }

    /// Resumes the connections that were throttled since the last tick.
    pub(super) fn resume_throttled(&mut self) {
        for key in std::mem::take(&mut self.throttled) {
            if let Some(connection) = self.connection(key) {
                connection.flags.throttled = false;
                self.resume_io(key.index);
            }
        }
    }
}
