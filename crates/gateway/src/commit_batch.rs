//! The messages and replies that the writer publishes after a commit.

use std::sync::Arc;

use bus::Bus;
use bytes::Bytes;
use domain::{CommandError, LeftRoom, OperationResult};
use protocol::{Event, RoomId};
use storage::Batch;
use tokio::sync::oneshot;

use crate::encoding::{Encoding, event_frame};
#[cfg(feature = "fault-injection")]
use crate::fault_injection::{self, FaultInjection};

/// A message that every shard receives, in the order of publication.
#[derive(Debug)]
pub(crate) enum BusMessage {
    /// Events, in commit order.
    Committed(Vec<Committed>),
    /// An ephemeral frame: typing, presence.
    Ephemeral {
        room: RoomId,
        /// JSON, including the frame's header.
        frame: Bytes,
    },
}

/// A committed event and its JSON frame, encoded once for all shards.
#[derive(Debug)]
pub(crate) struct Committed {
    pub(crate) event: Arc<Event>,
    pub(crate) frame: Box<[u8]>,
}

/// The reply to a request, and the number of the batch's events that precede it.
#[derive(Debug)]
pub(crate) struct WriteReply {
    pub(crate) after: usize,
    pub(crate) request_id: u64,
    pub(crate) result: Result<OperationResult, CommandError>,
}

impl From<Arc<Event>> for Committed {
    fn from(event: Arc<Event>) -> Self {
        let frame = event_frame(&event, Encoding::Json).into_boxed_slice();
        Committed { event, frame }
    }
}

pub(crate) enum ReplyTarget {
    /// A shard, which matches the reply by the number that it gave the request.
    Shard { shard: usize, request_id: u64 },
    /// HTTP, which waits on a channel.
    Caller(ReplySender),
}

pub(crate) type ReplySender = oneshot::Sender<Result<OperationResult, CommandError>>;

pub(crate) type ShardBus = dyn Bus<BusMessage, WriteReply>;

/// A committed batch before its publication.
pub(crate) struct CommitBatch {
    events: Vec<Committed>,
    /// The replies by shard, each in the order of their positions among the events.
    for_shards: Vec<(usize, Vec<WriteReply>)>,
    for_callers: Vec<(ReplySender, Result<OperationResult, CommandError>)>,
}

impl CommitBatch {
    /// `reply_to` are the targets of the batch's replies, in the same order.
    pub(crate) fn new(mut batch: Batch, reply_to: Vec<ReplyTarget>) -> Self {
        let replies = std::mem::take(&mut batch.replies);
        let mut for_callers = Vec::new();
        let mut for_shards: Vec<(usize, Vec<WriteReply>)> = Vec::new();
        for ((_, result), to) in replies.into_iter().zip(reply_to) {
            match to {
                ReplyTarget::Caller(caller) => for_callers.push((caller, result)),
                ReplyTarget::Shard { shard, request_id } => {
                    let after = result.as_ref().map_or(0, |done| events_before(&batch, done));
                    let reply = WriteReply { after, request_id, result };
                    match for_shards.iter_mut().find(|(of, _)| *of == shard) {
                        Some((_, replies)) => replies.push(reply),
                        None => for_shards.push((shard, vec![reply])),
                    }
                }
            }
        }
        for (_, replies) in &mut for_shards {
            // Stable: replies at one position keep the order of the requests.
            replies.sort_by_key(|reply| reply.after);
        }
        #[cfg_attr(
            not(feature = "fault-injection"),
            expect(unused_mut, reason = "only an injected fault changes the events")
        )]
        let mut events: Vec<Committed> = batch.events.into_iter().map(Committed::from).collect();
        #[cfg(feature = "fault-injection")]
        swap_neighbors(&mut events);
        CommitBatch { events, for_shards, for_callers }
    }

    /// The shards come first: a caller over HTTP whose request is answered finds the event on its connections, or in their
    /// queues, when it looks.
    pub(crate) fn publish(self, bus: &ShardBus) {
        if !(self.events.is_empty() && self.for_shards.is_empty()) {
            bus.publish(Arc::new(BusMessage::Committed(self.events)), self.for_shards);
        }
        for (caller, result) in self.for_callers {
            let _ = caller.send(result);
        }
    }
}

#[cfg(feature = "fault-injection")]
fn swap_neighbors(events: &mut [Committed]) {
    if !fault_injection::is(FaultInjection::SwapNeighbors) {
        return;
    }
    for at in 1..events.len() {
        let (before, after) = events.split_at_mut(at);
        let (one, other) = (&mut before[at - 1], &mut after[0]);
        if one.event.room == other.event.room && one.event.seq.0.is_multiple_of(7) {
            std::mem::swap(&mut one.frame, &mut other.frame);
        }
    }
}

/// The number of the batch's events that precede the reply `done`. A `joined` with head 5 is between the events 5 and 6 of its
/// room, so that the shard sets the cursor there. The same applies to the reply to a leave, because the next event may be
/// another join of the same user.
fn events_before(batch: &Batch, done: &OperationResult) -> usize {
    let (room, head) = match done {
        OperationResult::Join(joined) | OperationResult::Open(joined) => (&joined.info.room, &joined.head),
        OperationResult::Leave(LeftRoom { room, seq }) => (room, seq),
        _ => return batch.events.len(),
    };
    let later = |event: &Arc<Event>| event.room == *room && event.seq > *head;
    // From the back, because later events are rare.
    batch
        .events
        .iter()
        .rposition(|event| !later(event) && event.room == *room)
        .map_or_else(|| batch.events.iter().position(later).unwrap_or(batch.events.len()), |last| last + 1)
}

#[cfg(test)]
mod tests {
    use domain::JoinedRoom;
    use protocol::{EventKind, MessageCount, RoomInfo, RoomName, Seq, Timestamp, User, UserId, UserName};

    use super::*;

    fn event(room: u64, seq: u64) -> Arc<Event> {
        let by = User { id: UserId(1), name: UserName::new("Li").unwrap() };
        let kind = EventKind::MemberJoined { also_joined: Vec::new() };
        Arc::new(Event { kind, room: RoomId(room), seq: Seq(seq), n: MessageCount(0), by, at: Timestamp(0) })
    }

    #[test]
    fn join_is_answered_between_its_neighboring_events() {
        let events = vec![event(1, 5), event(2, 1), event(1, 6), event(2, 2), event(1, 7)];
        let batch = Batch { events, ..Batch::default() };
        let joined = |room, head| {
            OperationResult::Join(JoinedRoom {
                info: RoomInfo::new(RoomId(room), RoomName::new("x").unwrap()),
                head: Seq(head),
                n: MessageCount(0),
                read: None,
                created: false,
            })
        };
        let at = |room, head| events_before(&batch, &joined(room, head));
        assert_eq!([at(1, 4), at(1, 5), at(1, 6), at(1, 7)], [0, 1, 3, 5]);
        assert_eq!([at(2, 0), at(2, 1), at(2, 2), at(3, 9)], [1, 2, 4, 5]);
        assert_eq!(
            events_before(&batch, &OperationResult::Leave(LeftRoom { room: RoomId(1), seq: Seq(6) })),
            3
        );
    }
}
