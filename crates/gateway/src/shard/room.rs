//! An open room.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use protocol::{Event, RoomId, RoomName, Seq, UserId};
use room_log::{Cursor, RoomLog, SequenceGap};

use super::ConnKey;
use super::pending_subscription::PendingSubscription;
use crate::encoding::{Encoding, event_frame};

/// The number of remembered removals. A backfill may overtake the replies of commit batches that are in transit; this is far
/// more than the removals of those batches.
const MAX_RECENT_REMOVALS: usize = 1024;

/// The high-water mark of a room's undelivered bytes for members that keep up. Above it the room is congested and its members are
/// not read (backpressure); otherwise every member would eventually lag beyond the log, which holds eight times as much.
pub(crate) const FANOUT_HIGH_WATER: usize = 512 * 1024;

/// An open room: its log in each encoding in use, and its members.
pub(crate) struct Room {
    pub(crate) id: RoomId,
    pub(crate) name: RoomName,
    /// One log per encoding. Those of plain text are created on first use.
    logs: [Option<Box<RoomLog>>; Encoding::COUNT],
    /// The lowest cursor of each encoding, as of the last complete fan-out.
    pub(crate) lowest: [Option<Cursor>; Encoding::COUNT],
    /// The same for the members whose sockets accept output.
    pub(crate) keeping_up: [Option<Cursor>; Encoding::COUNT],
    /// The connections that are not read because the room is congested, longest first. An index may have been reused since;
    /// resuming that connection is harmless.
    pub(crate) read_paused: Vec<usize>,
    /// The indexes of the connections that have the room open.
    pub(crate) members: Vec<usize>,
    pub(crate) fanout: Option<Fanout>,
    pub(crate) queued: bool,
    /// When a delayed fan-out is due.
    pub(crate) due: Option<Duration>,
    /// The log is missing events up to here, and a backfill is in progress.
    pub(crate) backfill_target: Option<Seq>,
    /// The head in the store at the last check.
    pub(crate) store_head: Seq,
    /// Subscriptions that wait until the log has reached the head of their join.
    pub(crate) pending_subscriptions: Vec<PendingSubscription>,
    /// The connections that wait for each requested catch-up page, by its `after`, `until` and encoding.
    pub(crate) pages: HashMap<(Seq, Seq, usize), Vec<ConnKey>>,
    /// Users who were removed in a backfilled range, with the event. The reply to an earlier join may arrive later.
    recent_removals: VecDeque<(UserId, Seq)>,
    /// When the last entry was appended.
    pub(crate) appended: Duration,
}

/// A fan-out: one pass over the members.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fanout {
    /// The index of the next member.
    pub(crate) next: usize,
    /// The lowest cursor so far, by encoding.
    pub(crate) lowest: [Option<Cursor>; Encoding::COUNT],
    /// The same for the members whose sockets accept output.
    pub(crate) keeping_up: [Option<Cursor>; Encoding::COUNT],
    /// An entry was appended, or a member was moved before `next`: another pass is needed.
    pub(crate) again: bool,
}

impl Fanout {
    pub(crate) fn new() -> Self {
        Fanout { next: 0, lowest: [None; Encoding::COUNT], keeping_up: [None; Encoding::COUNT], again: false }
    }
}

impl Room {
    pub(crate) fn new(id: RoomId, name: RoomName, head: Seq) -> Self {
        Room {
            id,
            name,
            logs: [Some(Box::new(RoomLog::new(head))), None, None],
            lowest: [None; Encoding::COUNT],
            keeping_up: [None; Encoding::COUNT],
            read_paused: Vec::new(),
            members: Vec::new(),
            fanout: None,
            queued: false,
            due: None,
            backfill_target: None,
            store_head: head,
            pending_subscriptions: Vec::new(),
            pages: HashMap::new(),
            recent_removals: VecDeque::new(),
            appended: Duration::ZERO,
        }
    }

    pub(crate) fn head(&self) -> Seq {
        self.json().head()
    }

    fn json(&self) -> &RoomLog {
        // `new` creates it, and nothing removes it.
        self.logs[Encoding::Json as usize].as_deref().expect("the JSON log always exists")
    }

    /// The log in `encoding`, created at the head on first use.
    pub(crate) fn log(&mut self, encoding: Encoding) -> &mut RoomLog {
        let head = self.head();
        self.logs[encoding as usize].get_or_insert_with(|| Box::new(RoomLog::new(head)))
    }

    pub(crate) fn existing_log(&self, encoding: Encoding) -> Option<&RoomLog> {
        self.logs[encoding as usize].as_deref()
    }

    /// Appends an event to the logs in use. `json` is its encoded frame, if available. Returns whether the event was new.
    pub(crate) fn append(
        &mut self,
        now: Duration,
        event: &Event,
        json: Option<&[u8]>,
    ) -> Result<bool, SequenceGap> {
        if event.seq <= self.head() {
            return Ok(false);
        }
        for encoding in Encoding::ALL {
            let lowest = self.lowest[encoding as usize];
            let Some(log) = self.logs[encoding as usize].as_deref_mut() else { continue };
            match json {
                Some(frame) if encoding == Encoding::Json => log.append(event.seq, frame)?,
                _ => log.append(event.seq, &event_frame(event, encoding))?,
            }
            let lowest = lowest.unwrap_or_else(|| log.tip());
            log.trim(RoomLog::SOFT_BYTES, RoomLog::HARD_BYTES, lowest);
        }
        self.appended = now;
        Ok(true)
    }

    /// Appends an ephemeral JSON frame. Plain text has no ephemeral frames.
    pub(crate) fn append_ephemeral(&mut self, now: Duration, frame: &[u8]) {
        let lowest = self.lowest[Encoding::Json as usize];
        let log = self.log(Encoding::Json);
        log.append_ephemeral(frame);
        let lowest = lowest.unwrap_or_else(|| log.tip());
        log.trim(RoomLog::SOFT_BYTES, RoomLog::HARD_BYTES, lowest);
        self.appended = now;
    }

    /// Whether the undelivered bytes exceed [`FANOUT_HIGH_WATER`]. Accurate while a fan-out is queued, which holds until little
    /// or nothing is undelivered.
    pub(crate) fn is_congested(&self) -> bool {
        self.queued && self.undelivered_bytes() > FANOUT_HIGH_WATER
    }

    /// The undelivered bytes for members that keep up, as of the last complete fan-out.
    pub(crate) fn undelivered_bytes(&self) -> usize {
        let undelivered = |(log, cursor): (&Option<Box<RoomLog>>, &Option<Cursor>)| match (log, cursor) {
            (Some(log), Some(cursor)) => log.bytes_after(*cursor),
            _ => 0,
        };
        self.logs.iter().zip(&self.keeping_up).map(undelivered).max().unwrap_or(0)
    }

    /// Includes a cursor that was set in the lowest cursor, below which the log may evict entries.
    pub(crate) fn include_cursor(&mut self, encoding: Encoding, cursor: Cursor) {
        let include = |lowest: &mut Option<Cursor>| {
            *lowest = Some(lowest.map_or(cursor, |lowest| lowest.min(cursor)));
        };
        include(&mut self.lowest[encoding as usize]);
        if let Some(fanout) = &mut self.fanout {
            include(&mut fanout.lowest[encoding as usize]);
        }
    }

    /// Releases the memory of an idle room if no member lags.
    ///
    /// `cursor` returns the cursor of a member, if it uses the log in that encoding.
    pub(crate) fn release_if_idle(
        &mut self,
        idle_since: Duration,
        cursor: impl Fn(usize, Encoding) -> Option<Cursor>,
    ) {
        if self.appended > idle_since || self.queued {
            return;
        }
        for (log, encoding) in self.logs.iter_mut().zip(Encoding::ALL) {
            let Some(log) = log else { continue };
            let tip = log.tip();
            if !log.is_empty()
                && self
                    .members
                    .iter()
                    .all(|&member| cursor(member, encoding).is_none_or(|cursor| cursor.has_reached(tip)))
            {
                log.release();
                self.lowest[encoding as usize] = Some(tip);
            }
        }
    }

    pub(crate) fn record_removal(&mut self, user: UserId, seq: Seq) {
        if self.recent_removals.len() == MAX_RECENT_REMOVALS {
            self.recent_removals.pop_front();
        }
        self.recent_removals.push_back((user, seq));
    }

    /// Whether `user` was removed after `head` in a backfilled range.
    pub(crate) fn was_removed_after(&self, user: UserId, head: Seq) -> bool {
        self.recent_removals.iter().any(|&(removed, seq)| removed == user && seq > head)
    }

    /// Whether no connection has the room open or waits for it.
    pub(crate) fn is_unused(&self) -> bool {
        self.members.is_empty() && self.pending_subscriptions.is_empty()
    }
}
