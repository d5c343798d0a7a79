//! Selects the records that concern a violation's connection, room or message.

use std::collections::VecDeque;

use crate::verdict::Subject;
use crate::{Record, RecordKind, Violation};

/// Bounds the records before a violation and after it, so that a report fits on a screen.
const BEFORE: usize = 14;
const AFTER: usize = 8;

/// The records that concern the violation, with their indices in the history.
pub(super) fn of(violation: &Violation, history: impl IntoIterator<Item = Record>) -> Vec<(usize, Record)> {
    let mut before = VecDeque::with_capacity(BEFORE + 1);
    let mut rest = Vec::new();
    for (index, record) in history.into_iter().enumerate() {
        if index != violation.index && !concerns(&violation.subject, &record.kind) {
            continue;
        }
        if index < violation.index {
            before.push_back((index, record));
            if before.len() > BEFORE {
                before.pop_front();
            }
        } else {
            rest.push((index, record));
            if rest.len() > AFTER {
                break;
            }
        }
    }
    before.into_iter().chain(rest).collect()
}

fn concerns(subject: &Subject, kind: &RecordKind) -> bool {
    let same_connection = subject.connection.is_some() && kind.connection() == subject.connection;
    let same_room = subject.room.is_some() && kind.room() == subject.room;
    let near = |seq: protocol::Seq| subject.seq.is_some_and(|of| of.0.abs_diff(seq.0) <= 1);
    let same_key = |key: &protocol::ClientMessageId| subject.key.as_ref() == Some(key);
    match kind {
        RecordKind::Opened { .. } | RecordKind::Closed { .. } | RecordKind::Quiescent { .. } => {
            same_connection
        }
        RecordKind::Joined { .. }
        | RecordKind::Gap { .. }
        | RecordKind::HistoryPage { .. }
        | RecordKind::Reset { .. }
        | RecordKind::RoomClosed { .. }
        | RecordKind::Leave { .. } => same_connection && same_room,
        RecordKind::Send { id, key, .. } => same_key(key) || same_connection && subject.id == Some(*id),
        RecordKind::Ok { id, seq, .. } => same_connection && (subject.id == Some(*id) || near(*seq)),
        RecordKind::Failed { id, .. } | RecordKind::Unknown { id, .. } => {
            same_connection && subject.id == Some(*id)
        }
        RecordKind::Received { event, .. } => {
            same_room && near(event.seq) && (same_connection || subject.connection.is_none())
        }
        RecordKind::Stored { event, .. } => {
            same_room && near(event.seq) || event.key.as_ref().is_some_and(same_key)
        }
        RecordKind::Restored { .. } | RecordKind::Note { .. } => true,
    }
}
