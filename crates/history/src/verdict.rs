//! The result of the checker: counts, and the first violation.

use std::collections::BTreeMap;
use std::fmt;

use protocol::{ClientMessageId, CommandId, RoomId, Seq};

use crate::{ConnectionId, Record};

/// The guarantees, each named after its violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Rule {
    /// A message was acknowledged but is not stored.
    AcknowledgedButLost,
    /// A message was acknowledged with another event's `seq`.
    WrongSeq,
    /// A message is stored that no client sent.
    NeverSent,
    /// A message is stored although every attempt was definitely rejected.
    RejectedButStored,
    /// A message is stored with another body, or in another room, than it was sent with.
    StoredAltered,
    /// One sender's `client_message_id` is stored twice.
    StoredTwice,
    /// A room's events are not numbered 1, 2, 3 …
    SeqNotContiguous,
    /// An event's `at` is before that of an earlier event of its room.
    TimestampRegressed,
    /// Two messages of one connection are stored in the opposite of the order in which they were sent.
    SenderOrder,
    /// A message precedes another one that had been acknowledged before the first one was sent.
    RealTimeOrder,
    /// A reply to a command that was not sent, or that already had a reply.
    UnexpectedReply,
    /// A command had no reply although the run was quiescent.
    Unanswered,
    /// A client received an event that is not stored.
    ReceivedButNotStored,
    /// A client received an event that differs from the stored one.
    ReceivedAltered,
    /// A connection received an event of a room before the room's `joined`.
    ReceivedBeforeJoined,
    /// Events are missing, and no `gap` announced them.
    SilentGap,
    /// A connection received an event twice.
    Duplicate,
    /// A connection received an event at or below its cursor.
    BelowCursor,
    /// A `gap` does not start after the last event, is empty, or ends after the head.
    InvalidGap,
    /// A `gap` was never filled from history.
    GapNotFilled,
    /// A user received an event after being removed from the room.
    ReceivedAfterRemoval,
    /// At quiescence, a member lacks events, or a removed user lacks events before the removal.
    IncompleteView,
    /// A connection was subscribed to a room of which its user is not a member.
    OpenedForNonMember,
    /// A member received `not_a_member`.
    ClosedToMember,
    /// A `reset` although the client's cursor was valid.
    UnneededReset,
    /// A cursor of another epoch, or above the head, was accepted as valid.
    MissingReset,
    /// A restore kept other events than it recorded.
    RestoreMismatch,
    /// The history contradicts itself, so the recorder has a defect.
    InconsistentHistory,
}

impl Rule {
    fn as_text(self) -> &'static str {
        match self {
            Rule::AcknowledgedButLost => "an acknowledged message is not stored",
            Rule::WrongSeq => "a message was acknowledged with another event's seq",
            Rule::NeverSent => "a message is stored that no client sent",
            Rule::RejectedButStored => "a message is stored though it was rejected",
            Rule::StoredAltered => "a stored message differs from what was sent",
            Rule::StoredTwice => "a message is stored twice",
            Rule::SeqNotContiguous => "a room's events are not numbered 1, 2, 3 …",
            Rule::TimestampRegressed => "a room's timestamps decrease",
            Rule::SenderOrder => "two messages of one connection are stored in the wrong order",
            Rule::RealTimeOrder => "a message precedes one that was acknowledged before it was sent",
            Rule::UnexpectedReply => "a reply without a command, or a second reply",
            Rule::Unanswered => "a command has no reply",
            Rule::ReceivedButNotStored => "a received event is not stored",
            Rule::ReceivedAltered => "a received event differs from the stored one",
            Rule::ReceivedBeforeJoined => "an event was received before `joined`",
            Rule::SilentGap => "events are missing without a gap",
            Rule::Duplicate => "an event was received twice on one connection",
            Rule::BelowCursor => "an event at or below the cursor was received",
            Rule::InvalidGap => "a gap is invalid",
            Rule::GapNotFilled => "a gap was not filled",
            Rule::ReceivedAfterRemoval => "an event was received after the removal",
            Rule::IncompleteView => "a quiescent member lacks events",
            Rule::OpenedForNonMember => "a non-member was subscribed to a room",
            Rule::ClosedToMember => "a member received not_a_member",
            Rule::UnneededReset => "a reset of a valid cursor",
            Rule::MissingReset => "an invalid cursor was not reset",
            Rule::RestoreMismatch => "a restore kept other events than it recorded",
            Rule::InconsistentHistory => "the history contradicts itself",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_text())
    }
}

/// The counts over the whole history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All records of the history, including notes.
    pub records: u64,
    /// Attempts to send a message or to leave.
    pub operations: u64,
    /// Attempts that received `ok`.
    pub acknowledged: u64,
    /// Attempts that were definitely rejected.
    pub rejected: u64,
    /// Attempts whose result the client never received.
    pub unknown: u64,
    /// Messages that were stored by an attempt whose result the client never received: those that it did not resend, and those
    /// that were provably stored before it did.
    pub unknown_but_stored: u64,
    /// Events that were delivered live or by catch-up.
    pub deliveries: u64,
    /// `gap` frames, each for a range of any length.
    pub gaps: u64,
    /// Pages of history that clients read.
    pub history_pages: u64,
    /// Connections that received `welcome`.
    pub connections: u64,
    /// Cursors from which a client resumed.
    pub resumed: u64,
    /// Views that were quiescent and complete at the end of the run.
    pub complete_views: u64,
    /// Rooms with stored events, in the last epoch.
    pub rooms: u64,
    /// Stored events, in the last epoch.
    pub stored: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let it = self;
        writeln!(
            f,
            "{} operations: {} acknowledged, {} rejected, {} unknown ({} of these were stored)",
            it.operations, it.acknowledged, it.rejected, it.unknown, it.unknown_but_stored
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

/// The subject of a violation, which selects its context.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) connection: Option<ConnectionId>,
    pub(crate) id: Option<CommandId>,
    pub(crate) room: Option<RoomId>,
    pub(crate) seq: Option<Seq>,
    pub(crate) key: Option<ClientMessageId>,
}

/// A violated guarantee, with what a reader needs to understand it.
#[derive(Clone, Debug, PartialEq)]
pub struct Violation {
    /// The guarantee that is violated.
    pub rule: Rule,
    /// The values that violate it, for a human reader.
    pub detail: String,
    /// The index, in the merged history, of the record that shows it.
    pub index: usize,
    /// The related records with their indices: before it, itself, and after it.
    pub context: Vec<(usize, Record)>,
    pub(crate) subject: Subject,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "VIOLATION: {}", self.rule)?;
        writeln!(f, "  {}", self.detail)?;
        write!(f, "related records:")?;
        for (index, record) in &self.context {
            let mark = if *index == self.index { '>' } else { ' ' };
            write!(f, "\n{mark} {:>8} {record}", index + 1)?;
        }
        Ok(())
    }
}

/// The result of the checker for one history.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The counts over the whole history.
    pub counts: Counts,
    /// The first violation in the order of the history; `None` if the history is correct.
    pub violation: Option<Violation>,
    /// The number of violations of each rule. One defect may violate several rules, and one violation may cause others.
    pub violation_counts: BTreeMap<Rule, u64>,
}

impl Verdict {
    /// Whether no rule is violated. Check [`MinimumActivity`](crate::MinimumActivity) as well: an empty history is correct.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.violation.is_none()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.counts)?;
        match &self.violation {
            None => write!(f, "no violation"),
            Some(violation) => {
                write!(f, "{violation}\nviolations in total:")?;
                self.violation_counts
                    .iter()
                    .try_for_each(|(rule, violation_counts)| write!(f, "\n{violation_counts:>8} × {rule}"))
            }
        }
    }
}
