//! A room that somebody in this shard has open.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use protocol::{Event, RoomId, RoomName, Seq, UserId};
use room_log::{Cursor, RoomLog, SequenceGap};

use super::ConnKey;
use super::rooms::PendingSubscription;
use crate::encoding::{Encoding, event_frame};

/// Answers are overtaken by what a reader found for as long as a round is on its way; this many removals are far more than
/// one round's.
const DEPARTURES: usize = 1024;

/// A room in which so much waits to be told to those who take what comes has more to tell than can be told. Its members are
/// not read until they have been told: else, in the end, everybody would have to be told of a gap. A log holds eight times as much.
pub(crate) const FANOUT_HIGH_WATER: usize = 512 * 1024;

/// A live room: its log in each encoding that is spoken here, and who reads it.
pub(crate) struct Room {
    pub(crate) id: RoomId,
    pub(crate) name: RoomName,
    /// One for each encoding; those of plain text are made when somebody needs them.
    logs: [Option<Box<RoomLog>>; Encoding::COUNT],
    /// At or before every cursor of that encoding, as of the last whole walk.
    pub(crate) floors: [Option<Cursor>; Encoding::COUNT],
    /// The same for those alone whose sockets take what comes.
    pub(crate) keeping_up: [Option<Cursor>; Encoding::COUNT],
    /// Who is not read because of it, the longest first. A place may have been given to another since, who is read for nothing.
    pub(crate) read_paused: Vec<usize>,
    /// Connections that have it open.
    pub(crate) members: Vec<usize>,
    /// The walk that is under way.
    pub(crate) fanout: Option<Walk>,
    /// Whether it stands in the shard's queue.
    pub(crate) queued: bool,
    /// By when what it has to tell is told, if that may wait.
    pub(crate) due: Option<Duration>,
    /// The log is known to lack events up to here; a reader has been asked.
    pub(crate) backfill_target: Option<Seq>,
    /// Where the store said a second ago that the log ends.
    pub(crate) store_head: Seq,
    /// Who waits until the log has reached what they joined at.
    pub(crate) openings: Vec<PendingSubscription>,
    /// Pages under way, by what was asked for, and who waits for them.
    pub(crate) pages: HashMap<(Seq, Seq, usize), Vec<ConnKey>>,
    /// Who was removed while the log was filled, and by which event: a join that the store answered before may come after.
    recent_removals: VecDeque<(UserId, Seq)>,
    /// When something was last appended.
    pub(crate) appended: Duration,
}

/// A walk along the members whose cursors lag.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walk {
    /// The next in `members`.
    pub(crate) next: usize,
    /// The lowest cursor so far, for each encoding.
    pub(crate) lowest: [Option<Cursor>; Encoding::COUNT],
    /// The same for those alone whose sockets take what comes.
    pub(crate) keeping_up: [Option<Cursor>; Encoding::COUNT],
    /// Something was appended, or somebody moved, behind the walk's back: it is to be walked again.
    pub(crate) again: bool,
}

impl Walk {
    pub(crate) fn new() -> Self {
        Walk { next: 0, lowest: [None; Encoding::COUNT], keeping_up: [None; Encoding::COUNT], again: false }
    }
}

impl Room {
    /// A room whose log begins behind `head`.
    pub(crate) fn new(id: RoomId, name: RoomName, head: Seq) -> Self {
        Room {
            id,
            name,
            logs: [Some(Box::new(RoomLog::new(head))), None, None],
            floors: [None; Encoding::COUNT],
            keeping_up: [None; Encoding::COUNT],
            read_paused: Vec::new(),
            members: Vec::new(),
            fanout: None,
            queued: false,
            due: None,
            backfill_target: None,
            store_head: head,
            openings: Vec::new(),
            pages: HashMap::new(),
            recent_removals: VecDeque::new(),
            appended: Duration::ZERO,
        }
    }

    /// The last event that the log holds, or held.
    pub(crate) fn head(&self) -> Seq {
        self.json().head()
    }

    fn json(&self) -> &RoomLog {
        // `new` makes this one, and nothing takes it away.
        self.logs[Encoding::Json as usize].as_deref().expect("the JSON log is always there")
    }

    /// The log in `encoding`, made at the head if it is not there yet.
    pub(crate) fn log(&mut self, encoding: Encoding) -> &mut RoomLog {
        let head = self.head();
        self.logs[encoding as usize].get_or_insert_with(|| Box::new(RoomLog::new(head)))
    }

    /// The log in `encoding`, if somebody has needed it.
    pub(crate) fn existing_log(&self, encoding: Encoding) -> Option<&RoomLog> {
        self.logs[encoding as usize].as_deref()
    }

    /// Appends an event to the logs that are there. `json` is its frame, if it has been made already. `Ok(false)`: it was
    /// known.
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
            let floor = self.floors[encoding as usize];
            let Some(log) = self.logs[encoding as usize].as_deref_mut() else { continue };
            match json {
                Some(frame) if encoding == Encoding::Json => log.append(event.seq, frame)?,
                _ => log.append(event.seq, &event_frame(event, encoding))?,
            }
            let floor = floor.unwrap_or_else(|| log.tip());
            log.trim(RoomLog::SOFT_BYTES, RoomLog::HARD_BYTES, floor);
        }
        self.appended = now;
        Ok(true)
    }

    /// Appends a JSON frame that is no event. Who speaks plain text does not hear of it.
    pub(crate) fn append_aside(&mut self, now: Duration, frame: &[u8]) {
        let floor = self.floors[Encoding::Json as usize];
        let log = self.log(Encoding::Json);
        log.append_ephemeral(frame);
        let floor = floor.unwrap_or_else(|| log.tip());
        log.trim(RoomLog::SOFT_BYTES, RoomLog::HARD_BYTES, floor);
        self.appended = now;
    }

    /// Whether more waits to be told to those who take what comes than can be told in a few turns. Sound while the room is
    /// walked; and it is walked until nothing waits, or nothing but a little that may.
    pub(crate) fn is_congested(&self) -> bool {
        self.queued && self.waiting_bytes() > FANOUT_HIGH_WATER
    }

    /// What waits to be told to those who take what comes, as of the last whole walk.
    pub(crate) fn waiting_bytes(&self) -> usize {
        let waits = |(log, cursor): (&Option<Box<RoomLog>>, &Option<Cursor>)| match (log, cursor) {
            (Some(log), Some(cursor)) => log.bytes_after(*cursor),
            _ => 0,
        };
        self.logs.iter().zip(&self.keeping_up).map(waits).max().unwrap_or(0)
    }

    /// A cursor was set, perhaps behind the floor.
    pub(crate) fn lower_floor(&mut self, encoding: Encoding, cursor: Cursor) {
        let floor = &mut self.floors[encoding as usize];
        *floor = Some(floor.map_or(cursor, |floor| floor.min(cursor)));
        if let Some(fanout) = &mut self.fanout {
            let lowest = &mut fanout.lowest[encoding as usize];
            *lowest = Some(lowest.map_or(cursor, |lowest| lowest.min(cursor)));
        }
    }

    /// Gives the memory of a quiet room back, if everybody has everything.
    ///
    /// `cursor` is where a member stands, if it reads the log in that encoding.
    pub(crate) fn release_if_quiet(
        &mut self,
        quiet_since: Duration,
        cursor: impl Fn(usize, Encoding) -> Option<Cursor>,
    ) {
        if self.appended > quiet_since || self.queued {
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
                self.floors[encoding as usize] = Some(tip);
            }
        }
    }

    /// Somebody was removed, in a stretch that came from the store.
    pub(crate) fn note_departure(&mut self, user: UserId, seq: Seq) {
        if self.recent_removals.len() == DEPARTURES {
            self.recent_removals.pop_front();
        }
        self.recent_removals.push_back((user, seq));
    }

    /// Whether `user` is known to have been removed after `head`.
    pub(crate) fn left_after(&self, user: UserId, head: Seq) -> bool {
        self.recent_removals.iter().any(|&(who, seq)| who == user && seq > head)
    }

    /// Whether nobody here needs it.
    pub(crate) fn is_deserted(&self) -> bool {
        self.members.is_empty() && self.openings.is_empty()
    }
}
