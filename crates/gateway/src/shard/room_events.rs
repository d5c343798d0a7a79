//! The events of open rooms: appending them to the logs, and the backfill of missing ones from the store.

use domain::CommandError;
use protocol::{ErrorCode, ErrorFrame, RoomId, Seq};
use room_log::SequenceGap;

use super::pending_subscription::PendingSubscription;
use super::{Query, Shard, ShardServices, Transport};
use crate::commit_batch::Committed;
use crate::fault_injection::{self, FaultInjection};

impl<T: Transport, S: ShardServices> Shard<T, S> {
    /// Appends a committed event, if its room is open in this shard.
    pub(super) fn handle_event(&mut self, committed: &Committed) {
        if let Some(index) = self.rooms.index_of(committed.event.room) {
            self.append(index, &committed.event, Some(&committed.frame));
            // A delayed message may contain the events that a backfill did not find in the store yet.
            self.attach_all(index);
            // The end of a membership may have rejected the last pending subscription.
            self.remove_if_unused(index);
        }
    }

    fn append(&mut self, index: usize, event: &protocol::Event, frame: Option<&[u8]>) {
        match self.rooms[index].append(self.now, event, frame) {
            Err(SequenceGap { offered, .. }) => self.backfill(index, offered),
            Ok(false) => {}
            Ok(true) => {
                match event.kind {
                    protocol::EventKind::MemberJoined { .. } => return self.queue_fanout_later(index),
                    protocol::EventKind::MemberLeft {} => self.end_memberships(index, event),
                    _ => {}
                }
                if fault_injection::is(FaultInjection::LoseWakeUp) && event.seq.0.is_multiple_of(3) {
                    return;
                }
                self.queue_fanout(index);
            }
        }
    }

    /// **Invariant:** the end is set when the event is appended, so no later event can be written to the removed user
    /// (`removed_member_receives_nothing_later`).
    fn end_memberships(&mut self, index: usize, event: &protocol::Event) {
        let user = event.by.id;
        let pending_subscriptions = std::mem::take(&mut self.rooms[index].pending_subscriptions);
        let (ended, waiting): (Vec<PendingSubscription>, Vec<PendingSubscription>) =
            pending_subscriptions.into_iter().partition(|pending_subscription| {
                let is_of_user = self
                    .connection(pending_subscription.key)
                    .is_some_and(|connection| connection.user == user);
                is_of_user && pending_subscription.attach.head < event.seq
            });
        self.rooms[index].pending_subscriptions = waiting;
        for pending_subscription in ended {
            self.reject_subscription(index, pending_subscription);
        }
        if fault_injection::is(FaultInjection::DeliverAfterRemoval) {
            return;
        }
        let room = &mut self.rooms[index];
        self.connections.for_each_of(user, |connection| {
            let tip = room.log(connection.encoding).tip();
            if let Some(subscription) = connection.subscription(index) {
                subscription.rare_state().end.get_or_insert(tip);
            }
        });
    }

    pub(super) fn handle_ephemeral(&mut self, room: RoomId, frame: &[u8]) {
        if let Some(index) = self.rooms.index_of(room) {
            let now = self.now;
            self.rooms[index].append_ephemeral(now, frame);
            self.queue_fanout(index);
        }
    }

    /// Reads the events up to `backfill_target`, which the log is missing, from the store.
    pub(crate) fn backfill(&mut self, index: usize, backfill_target: Seq) {
        let room = &mut self.rooms[index];
        let in_progress = room.backfill_target.is_some();
        room.backfill_target = room.backfill_target.max(Some(backfill_target));
        if !in_progress {
            self.request_backfill(index);
        }
    }

    fn request_backfill(&mut self, index: usize) {
        let room = &mut self.rooms[index];
        let query = Query::Backfill { room: room.id, after: room.head() };
        if self.services.read(query).is_err() {
            // The readers are busy; the next check of the heads finds the gap again.
            room.backfill_target = None;
        }
    }

    pub(super) fn handle_backfill(
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
                // Replies to earlier joins may still be in transit.
                self.rooms[index].record_removal(event.by.id, event.seq);
            }
            self.append(index, event, None);
        }
        self.attach_all(index);
        if self.rooms[index].head() < backfill_target && progressed {
            self.backfill(index, backfill_target);
        }
        self.remove_if_unused(index);
    }

    fn attach_all(&mut self, index: usize) {
        let room = &mut self.rooms[index];
        if room.pending_subscriptions.is_empty() {
            return;
        }
        let head = room.head();
        let (ready, waiting): (Vec<PendingSubscription>, Vec<PendingSubscription>) =
            std::mem::take(&mut room.pending_subscriptions)
                .into_iter()
                .partition(|pending_subscription| pending_subscription.attach.head <= head);
        room.pending_subscriptions = waiting;
        for pending_subscription in ready {
            self.attach(index, pending_subscription);
        }
    }

    /// Compares the logs with their heads in the store. Events that were missing at the last check already are backfilled; newer
    /// ones may be in transit. A room that the store does not have was deleted with its last member.
    pub(super) fn handle_heads(&mut self, heads: Vec<(RoomId, Option<Seq>)>) {
        for (room, head) in heads {
            let Some(index) = self.rooms.index_of(room) else { continue };
            let Some(head) = head else {
                self.detach_all_members(index);
                continue;
            };
            let room = &mut self.rooms[index];
            let is_missing_events = room.head() < room.store_head;
            let store_head = room.store_head;
            room.store_head = head;
            if is_missing_events {
                self.backfill(index, store_head);
            }
        }
    }

    fn detach_all_members(&mut self, index: usize) {
        for pending_subscription in std::mem::take(&mut self.rooms[index].pending_subscriptions) {
            self.reject_subscription(index, pending_subscription);
        }
        while let Some(&member) = self.rooms.get(index).and_then(|room| room.members.first()) {
            let Some(key) = self.connections.get(member).map(|connection| connection.key) else { break };
            // The events of the removal were deleted with the room, so the members receive an error instead.
            let room = Some(self.rooms[index].id);
            let CommandError { code, message } = CommandError::from(ErrorCode::RoomNotFound);
            self.send_frame(key, ErrorFrame { room, ..ErrorFrame::new(None, code, message) }.into());
            self.answer_leaves(key, index);
            self.detach(key, index);
        }
        self.remove_if_unused(index);
    }

    /// The bus dropped messages: backfills every open room.
    pub(crate) fn handle_dropped_messages(&mut self, now: std::time::Duration) {
        self.now = now;
        let all: Vec<usize> = self.rooms.iter().map(|(index, _)| index).collect();
        for index in all {
            let next = self.rooms[index].head().next();
            self.backfill(index, next);
        }
    }
}
