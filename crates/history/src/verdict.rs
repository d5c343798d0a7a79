//! What the checker says: how much it looked at, and the first promise that was broken.

use std::collections::BTreeMap;
use std::fmt;

use protocol::{ClientMessageId, CommandId, RoomId, Seq};

use crate::{ConnectionId, Record};

/// The promises, each by the way in which it is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Rule {
    /// Acknowledged, and not stored.
    AcknowledgedButLost,
    /// Acknowledged under a number that is another event's.
    WrongSeq,
    /// Stored, and nobody ever sent it.
    NeverSent,
    /// Stored, though every attempt was refused for good.
    RefusedButStored,
    /// Stored with another body or in another room than it was sent with.
    StoredAltered,
    /// One sender's key is stored twice.
    StoredTwice,
    /// A room's numbers are not 1, 2, 3 …
    SeqNotContiguous,
    /// An event's `at` is before that of an earlier one of its room.
    TimestampRegressed,
    /// Two messages of one connection are stored in another order than they were sent in.
    SenderOrder,
    /// A message is stored before one that had been acknowledged when it was sent.
    RealTimeOrder,
    /// An answer to a command that was not asked, or was answered before.
    UnexpectedReply,
    /// A command was never answered, and all was at rest.
    Unanswered,
    /// Somebody saw what is not stored.
    ReceivedButNotStored,
    /// Somebody saw an event otherwise than it is stored.
    ReceivedAltered,
    /// An event of a room before the room's `joined`.
    ReceivedBeforeJoined,
    /// Events were left out, and no `gap` said so.
    SilentGap,
    /// An event came twice on one connection.
    Duplicate,
    /// An event came at or below the cursor that the client had named.
    BelowCursor,
    /// A `gap` that does not begin behind the last event, is empty, or goes beyond the head.
    InvalidGap,
    /// A `gap` that was never filled.
    GapNotFilled,
    /// An event after the person had been removed.
    ReceivedAfterRemoval,
    /// All was at rest, and a member lacks events, or one who was removed lacks what was before.
    IncompleteView,
    /// A room was opened for somebody who is no member of it.
    OpenedForNonMember,
    /// A room was closed to somebody who is a member of it.
    ClosedToMember,
    /// A `reset` though the client's cursor was good.
    UnneededReset,
    /// A cursor of another epoch, or above the head, was taken as if it were good.
    MissingReset,
    /// A restore kept something else than it said.
    RestoreMismatch,
    /// The history contradicts itself: whoever recorded it has a defect.
    InconsistentHistory,
}

impl Rule {
    fn as_text(self) -> &'static str {
        match self {
            Rule::AcknowledgedButLost => "an acknowledged message is not stored",
            Rule::WrongSeq => "a message was acknowledged under another event's number",
            Rule::NeverSent => "a message is stored that nobody sent",
            Rule::RefusedButStored => "a message is stored though it was refused",
            Rule::StoredAltered => "a message is stored otherwise than it was sent",
            Rule::StoredTwice => "a message is stored twice",
            Rule::SeqNotContiguous => "a room's events are not numbered 1, 2, 3 …",
            Rule::TimestampRegressed => "a room's events go back in time",
            Rule::SenderOrder => "two messages of one connection are stored in the wrong order",
            Rule::RealTimeOrder => "a message stands before one that was acknowledged when it was sent",
            Rule::UnexpectedReply => "an answer to nothing, or a second one",
            Rule::Unanswered => "a command was not answered",
            Rule::ReceivedButNotStored => "somebody saw what is not stored",
            Rule::ReceivedAltered => "somebody saw an event otherwise than it is stored",
            Rule::ReceivedBeforeJoined => "something of a room came before `joined`",
            Rule::SilentGap => "events were left out in silence",
            Rule::Duplicate => "an event came twice on one connection",
            Rule::BelowCursor => "an event came that the client had said it has",
            Rule::InvalidGap => "a gap that is none",
            Rule::GapNotFilled => "a gap was not filled",
            Rule::ReceivedAfterRemoval => "an event came after the removal",
            Rule::IncompleteView => "a member at rest lacks events",
            Rule::OpenedForNonMember => "a room was opened for somebody who is no member",
            Rule::ClosedToMember => "a room was closed to a member",
            Rule::UnneededReset => "a reset without need",
            Rule::MissingReset => "a reset was forgotten",
            Rule::RestoreMismatch => "a restore kept something else than it said",
            Rule::InconsistentHistory => "the history contradicts itself",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_text())
    }
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lines of the history.
    pub records: u64,
    /// Attempts to send a message, and to leave.
    pub operations: u64,
    /// Those that were answered with `ok`.
    pub acknowledged: u64,
    /// Those that were refused for good.
    pub refused: u64,
    /// Those of which the client was never told how they ended.
    pub unknown: u64,
    /// Messages that were stored by an attempt whose client was never told so: those that it did not repeat, and of the others
    /// those of which the history shows that they were there before.
    pub unknown_but_stored: u64,
    /// Events that came by themselves.
    pub deliveries: u64,
    /// `gap`s.
    pub gaps: u64,
    /// Pages of history that were read.
    pub history_pages: u64,
    /// Connections.
    pub connections: u64,
    /// Cursors with which somebody came back.
    pub resumed: u64,
    /// Views that were at rest in the end, and complete.
    pub complete_views: u64,
    /// Rooms that are stored.
    pub rooms: u64,
    /// Events that are stored.
    pub stored: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let it = self;
        writeln!(
            f,
            "{} operations: {} acknowledged, {} refused, {} unknown ({} of these were stored)",
            it.operations, it.acknowledged, it.refused, it.unknown, it.unknown_but_stored
        )?;
        writeln!(
            f,
            "{} deliveries on {} connections, {} cursors resumed, {} gaps, {} pages of history",
            it.deliveries, it.connections, it.resumed, it.gaps, it.history_pages
        )?;
        write!(
            f,
            "{} events stored in {} rooms, {} views complete at the end",
            it.stored, it.rooms, it.complete_views
        )
    }
}

/// What a violation is about, to find what belongs to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) connection: Option<ConnectionId>,
    pub(crate) id: Option<CommandId>,
    pub(crate) room: Option<RoomId>,
    pub(crate) seq: Option<Seq>,
    pub(crate) key: Option<ClientMessageId>,
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq)]
pub struct Violation {
    /// Which.
    pub rule: Rule,
    /// By what.
    pub detail: String,
    /// The line of the (merged) history at which it shows, from 0.
    pub index: usize,
    /// What belongs to it, with its lines: before, itself, and after.
    pub context: Vec<(usize, Record)>,
    pub(crate) subject: Subject,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "VIOLATION: {}", self.rule)?;
        writeln!(f, "  {}", self.detail)?;
        write!(f, "what belongs to it:")?;
        for (index, record) in &self.context {
            let mark = if *index == self.index { '>' } else { ' ' };
            write!(f, "\n{mark} {:>8} {record}", index + 1)?;
        }
        Ok(())
    }
}

/// What the checker says of a history.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// How much was looked at.
    pub counts: Counts,
    /// The first promise that was broken.
    pub violation: Option<Violation>,
    /// How often each was broken. One defect breaks several, and one break makes others follow.
    pub violation_counts: BTreeMap<Rule, u64>,
}

impl Verdict {
    /// Whether every promise was kept.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.violation.is_none()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.counts)?;
        match &self.violation {
            None => write!(f, "every promise was kept"),
            Some(violation) => {
                write!(f, "{violation}\nin all:")?;
                self.violation_counts
                    .iter()
                    .try_for_each(|(rule, violation_counts)| write!(f, "\n{violation_counts:>8} × {rule}"))
            }
        }
    }
}
